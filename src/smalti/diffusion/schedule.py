"""Noise schedules: how much signal and noise the states of a Gaussian process have at each time of training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import DDPMScheduler
from jaxtyping import Float
from torch import Tensor

from smalti.diffusion.level import GaussianLevel
from smalti.errors import SmaltiError

TRAINING_TIMESTEPS = 1000
"""Times of training: the paper's T (Figure 7)."""

_DIFFUSERS = ("linear", "scaled_linear", "squaredcos_cap_v2")
_BETA_RANGE: dict[str, Any] = {"beta_start": 0.0001, "beta_end": 0.02}  # of ref 1; not the default of every scheduler


def _betas_of_diffusers(name: Any) -> Float[Tensor, " T"]:
    return DDPMScheduler(TRAINING_TIMESTEPS, beta_schedule=name, **_BETA_RANGE).betas


SCHEDULES: dict[str, Callable[[], Float[Tensor, " T"]]] = {
    name: partial(_betas_of_diffusers, name) for name in _DIFFUSERS
}
"""Noise schedules by name, as the betas of DDPM: x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) noise."""


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """The variance-preserving schedule of DDPM (ref 1), alpha_t**2 + sigma_t**2 = 1, from little noise to nothing else.

    Times are places in these tables, 0 ... T - 1; outside of this class there are levels, and positions in 0 ... 1.
    """

    alpha: Float[Tensor, " T"]
    sigma: Float[Tensor, " T"]

    @classmethod
    def named(cls, name: str) -> "NoiseSchedule":
        """The schedule of that name in `SCHEDULES`.

        Raises:
            SmaltiError: there is none.
        """
        require_schedule(name)
        cumulative = (1 - SCHEDULES[name]()).cumprod(0).double()  # in float32, as the schedulers of diffusers do
        return cls(cumulative.sqrt().float(), (1 - cumulative).sqrt().float())

    def level(self, position: Float[Tensor, " B"]) -> GaussianLevel:
        """The level at a position from 0, little noise, to 1, exclusive."""
        t = (position * len(self.alpha)).long().clamp(max=len(self.alpha) - 1)  # where rounding makes it 1
        return GaussianLevel(self.alpha[t], self.sigma[t])

    def time(self, level: GaussianLevel) -> Float[Tensor, " B"]:
        """The time whose log SNR is nearest to that of a level."""
        table = GaussianLevel(self.alpha, self.sigma).log_snr
        between = (table[1:] + table[:-1]) / 2
        return torch.searchsorted(-between, -level.log_snr).float()


def require_schedule(name: str) -> None:
    """Refuse a name that no noise schedule has.

    Raises:
        SmaltiError: so it is.
    """
    if name not in SCHEDULES:
        raise SmaltiError(f"'{name}' is no noise schedule; take one of {', '.join(SCHEDULES)}.")


def for_schedulers(name: str) -> dict[str, Any]:
    """The settings that put a scheduler of diffusers on the schedule of that name."""
    if name in _DIFFUSERS:
        return {"beta_schedule": name, **_BETA_RANGE}
    return {"trained_betas": SCHEDULES[name]().tolist()}
