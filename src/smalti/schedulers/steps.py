"""Steps from noise to a clean state: one face for all schedulers, which tells how noisy states are on the way."""

import inspect
import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from smalti.devices import exact
from smalti.diffusion import DiscreteLevel, GaussianLevel, Level
from smalti.diffusion.draws import Generators


class Steps(ABC):
    """The steps that a scheduler of diffusers' kind takes in one sampling, by their numbers."""

    free = 1.0
    """Share of the places that is made; all others are known."""
    eta: float | None = None
    """Of DDIM; its own, 0, where it is not said."""

    def __init__(self, scheduler: Any, count: int, device: torch.device):
        """Spread `count` steps over the times of training; the scheduler keeps count of them from then on."""
        self.scheduler = scheduler
        self._asked = count, device
        self._place(count, device)
        self.times: Tensor = scheduler.timesteps
        # Some schedulers draw at every step.
        self._draws = "generator" in inspect.signature(scheduler.step).parameters

    def _place(self, count: int, device: torch.device) -> None:
        """Let the scheduler spread its steps."""
        self.scheduler.set_timesteps(count, device=device)

    def __len__(self) -> int:
        """Calls of the network; some schedulers take two a step."""
        return len(self.times)

    @property
    def scale(self) -> float:
        """The deviation of the noise that sampling begins with."""
        return float(self.scheduler.init_noise_sigma)

    def shown(self, step: int, state: Tensor) -> Tensor:
        """The state in the form that processes know, where the scheduler's own is another."""
        return self.scheduler.scale_model_input(state, self.times[step])

    @abstractmethod
    def level(self, step: int, shown: Tensor) -> Level:
        """How noisy the state is that is shown before a step."""

    def ahead(self, step: int, like: Tensor) -> Level:
        """How noisy states have to be for sampling to begin with a step; `like` has as many images, on their device."""
        return self.level(step, like)

    @property
    def beginnings(self) -> range:
        """The steps that sampling may begin with: those that do not go on with another."""
        return range(0, len(self), self.scheduler.order)

    def begin(self, step: int, state: Tensor) -> Tensor:
        """The scheduler's own form of a state that processes know, with which sampling begins at a step, also again."""
        del step
        self._place(*self._asked)  # what it remembers is of the steps before
        return state

    def take(self, step: int, state: Tensor, clean: Tensor, generator: Generators = None) -> Tensor:
        """The state after a step, given what the clean state is taken for (or its logits)."""
        more: dict[str, Any] = {"generator": generator} if self._draws else {}
        more |= {} if self.eta is None else {"eta": self.eta}
        return self.scheduler.step(clean, self.times[step], state, **more).prev_sample


class CumulativeSteps(Steps):
    """Schedulers that look alpha_t**2 up at an integer time: DDPM, DDIM, LCM."""

    def __init__(self, scheduler: Any, count: int, device: torch.device):
        super().__init__(scheduler, count, device)
        self.times = self.times[self.times >= 0]  # some numbers of steps end, by rounding, at time -1, which is no time

    def level(self, step: int, shown: Tensor) -> GaussianLevel:
        """Alpha and sigma at the time of a step."""
        cumulative = self.scheduler.alphas_cumprod[int(self.times[step])].to(shown.device)
        return _gaussian(cumulative.sqrt(), (1 - cumulative).sqrt(), shown)


class PlacedSteps(CumulativeSteps):
    """Schedulers that take any times: DDPM. Step i of n is at time T (1 - i / n)**spacing, from T - 1 on down."""

    def __init__(self, scheduler: Any, count: int, device: torch.device, spacing: float = 1.0):
        self.spacing = spacing
        super().__init__(scheduler, count, device)

    def _place(self, count: int, device: torch.device) -> None:
        last = self.scheduler.config.num_train_timesteps - 1
        left = 1 - np.arange(count) / count
        times = np.round((last + 1) * left**self.spacing).astype(np.int64).clip(min=1) - 1
        # No time twice: with many steps those of little noise would fall together.
        times = np.maximum.accumulate(times[::-1] - np.arange(count))[::-1] + np.arange(count)[::-1]
        self.scheduler.set_timesteps(timesteps=times.tolist(), device=device)


class RatioSteps(Steps):
    """Schedulers that count noise as sigma / alpha, also between two times of training: Euler, Heun, DPM, UniPC."""

    def __init__(self, scheduler: Any, count: int, device: torch.device):
        super().__init__(scheduler, count, device)
        scheduler.set_begin_index(0)

    def level(self, step: int, shown: Tensor) -> GaussianLevel:
        """Alpha and sigma of a ratio, where alpha**2 + sigma**2 = 1."""
        ratio = self.scheduler.sigmas[step].to(shown.device)
        alpha = (1 + ratio.square()).rsqrt()
        return _gaussian(alpha, ratio * alpha, shown)

    def begin(self, step: int, state: Tensor) -> Tensor:
        """The state, scaled back from how it is shown; the scheduler counts from this step on."""
        super().begin(step, state)
        self.scheduler.set_begin_index(step)
        return state / self.shown(step, torch.ones_like(state))


class UnmaskingSteps(Steps):
    """Orders of unmasking: as much is replaced as there are masks."""

    def level(self, step: int, shown: Tensor) -> DiscreteLevel:
        """The share of masks in each state."""
        del step
        return DiscreteLevel((shown == self.scheduler.config.mask_token_id).float().mean((1, 2, 3)))

    def ahead(self, step: int, like: Tensor) -> DiscreteLevel:
        """The share of what is free that the scheduler leaves masked after as many steps."""
        return DiscreteLevel(torch.full((len(like),), math.cos(math.pi / 2 * step / len(self)), device=like.device))

    def take(self, step: int, state: Tensor, clean: Tensor, generator: Generators = None) -> Tensor:
        """The state after a step; of what is free, as much is left masked as of all where nothing is known."""
        after = self.scheduler.step(clean, self.times[step], state, starting_mask_ratio=self.free, generator=generator)
        return after.prev_sample


class ReplacingSteps(Steps):
    """Schedulers at whose time t a share (t + 1) / T is replaced."""

    def level(self, step: int, shown: Tensor) -> DiscreteLevel:
        """The share at the time of a step, the same for every image."""
        share = (int(self.times[step]) + 1) / self.scheduler.config.num_train_timesteps
        return DiscreteLevel(torch.full((len(shown),), share, dtype=exact(shown.device), device=shown.device))


def _gaussian(alpha: Float[Tensor, ""], sigma: Float[Tensor, ""], shown: Tensor) -> GaussianLevel:
    return GaussianLevel(alpha.expand(len(shown)), sigma.expand(len(shown)))
