"""What an evaluation is told and what it finds."""

from dataclasses import dataclass

from smalti.errors import require_at_least
from smalti.evaluation.memorisation import Memorisation
from smalti.evaluation.quality import CodecQuality
from smalti.metrics import Measured
from smalti.pipeline import SampleSettings
from smalti.report import Pictures

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
    sampling: SampleSettings = SampleSettings()
    """How the samples are made; its seed also chooses among the photos."""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_at_least(FEWEST, count=self.count, most_reference=self.most_reference)


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
    quality: CodecQuality
    memorisation: Memorisation
    samples: Pictures
    """The first of them."""
    reference_photos: int
    statistics: str | None
    """The file of statistics that the Fréchet distance was taken to, if not to those of the photos."""
    feature_names: tuple[str, str]
    warnings: list[str]
