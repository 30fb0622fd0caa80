"""What an evaluation is told and what it finds."""

from dataclasses import dataclass

from jaxtyping import UInt8
from torch import Tensor

from smalti.diffusion.process import TRAINING_TIMESTEPS
from smalti.evaluation.floor import Floor
from smalti.evaluation.memorisation import Memorisation
from smalti.files import SmaltiError, require_at_least
from smalti.metrics import Measured
from smalti.pipeline import Temperature

FEWEST = 20
"""Photos, or samples, that can be compared at all."""

SHOWN = 64
"""Samples on the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateSettings:
    """How a model is measured."""

    count: int = 2_000
    """Pictures to generate, and at most so many photos to take the floors from."""
    most_reference: int = 20_000
    """At most so many photos to compare with; more are drawn from at random."""
    steps: int = 50
    """Steps of the scheduler."""
    guidance: float = 1.0
    """Strength of classifier-free guidance, for a model with classes; 1 is none."""
    temperature: Temperature = None
    """Of draws from a distribution over codewords, or "expectation"; for models that have such distributions."""
    scheduler: str | None = None
    """A scheduler that suits the model, by the names of `smalti sample`; the model's own when left out."""
    refine: bool = True
    """Let the refiner, if the model has one, finish the pictures; --no-refine measures them without."""
    batch_size: int = 64
    """Pictures generated at a time."""
    seed: int = 0
    """Of the samples and of the choice of photos."""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_at_least(FEWEST, count=self.count, most_reference=self.most_reference)
        require_at_least(1, steps=self.steps, batch_size=self.batch_size)
        require_at_least(0, seed=self.seed)
        if self.steps > TRAINING_TIMESTEPS:
            raise SmaltiError(f"steps is {self.steps}; it must be from 1 to {TRAINING_TIMESTEPS}.")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A set of pictures against the reference photos."""

    name: str
    pictures: int
    frechet: Measured
    kernel: Measured
    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was found out about a model."""

    comparisons: list[Comparison]
    """The samples; held-out photos, the floor of any model; the same through the codec, the floor of this one."""
    floor: Floor
    memorisation: Memorisation
    samples: UInt8[Tensor, "n C H W"]
    """The first of them."""
    reference_photos: int
    statistics: str | None
    """The file of statistics that the Fréchet distance was taken to, if not to those of the photos."""
    feature_names: tuple[str, str]
    warnings: list[str]
