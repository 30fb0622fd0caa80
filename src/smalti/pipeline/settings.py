"""How pictures are sampled: one set of options for the pipeline, the verbs, evaluation and benchmarks."""

import math
from dataclasses import dataclass

from smalti.diffusion import TRAINING_TIMESTEPS
from smalti.errors import SmaltiError, require_at_least, require_seed


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSettings:
    """How pictures are sampled."""

    scheduler: str | None = None
    """ddpm, ddim, dpmsolver++, unipc, euler, heun or renoise; unmask, unmask-halton or unmask-random for a masked
    model; multinomial for a multinomial one; the model's own when left out."""
    steps: int = 50
    """Steps of the scheduler. Refined pictures of a categorical model are as good by 20."""
    temperature: float | None = None
    """Of the distributions over codewords: below 1 they are sharper, at 0 the likeliest alone is left. For models that
    have such distributions, and what suits the process when left out."""
    draws: bool | None = None
    """True draws codewords from the distributions, False takes their mean; what suits process and scheduler when left
    out."""
    cooling: float | None = None
    """How much the temperature falls with the noise, as the power sigma**cooling of its deviation; 0 keeps it. For
    categorical models."""
    extrapolation: float | None = None
    """How far the logits of a step are carried on the way that they went since the step before: at no noise by this
    share of a step, the less the more noise there is; 0 not at all. For draws of categorical models."""
    spacing: float | None = None
    """How much the steps crowd towards little noise: i of n is at time 1000 (1 - i/n)**spacing; 1 spreads them
    evenly. For ddpm."""
    eta: float | None = None
    """How much of its noise each step draws anew, from 0, none, to 1, as much as ddpm. For ddim."""
    guidance: float = 1.0
    """Strength of guidance, towards the label or away from the guide; 1 is none."""
    guide: str | None = None
    """A worse model of the same kind to be guided away from, such as one trained for a shorter time."""
    refine: bool = True
    """Finish the pictures by the model's refiner, if it has one, or with --no-refine leave them as they are decoded."""
    batch_size: int = 64
    """Pictures made at a time."""
    seed: int = 0
    """Picture i follows from seed and i; the batch size matters only where rounding decides between two codewords."""

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_at_least(1, steps=self.steps, batch_size=self.batch_size)
        require_seed(self.seed)
        for name in ("temperature", "guidance"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise SmaltiError(f"{name} is {value:g}; it must be a finite number.")
        for name, low, high in (("cooling", 0, 10), ("extrapolation", 0, 2), ("spacing", 1, 10), ("eta", 0, 1)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SmaltiError(f"{name} is {value:g}; it must be from {low} to {high}.")
        if self.steps > TRAINING_TIMESTEPS:
            raise SmaltiError(f"steps is {self.steps}; it must be from 1 to {TRAINING_TIMESTEPS}.")
        if self.guide is not None and self.guidance == 1.0:
            raise SmaltiError("a guide does nothing at a guidance of 1; give a guidance above 1, or no guide.")
