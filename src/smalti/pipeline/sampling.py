"""The loop of generation: from noise, or a latent under noise, step by step to the state that a latent is read off."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.diffusion import TRAINING_TIMESTEPS, Level, Process
from smalti.diffusion.draws import Generators
from smalti.errors import SmaltiError
from smalti.pipeline.settings import SampleSettings
from smalti.schedulers import Steps, row_of

Network = Callable[[Float[Tensor, "B in h w"], Float[Tensor, " B"]], Float[Tensor, "B *out h w"]]
"""Inputs and times to outputs: a network with its labels, and maybe guided."""

OnEstimate = Callable[[int, Tensor], None]
"""Called at every step with the scheduler's time and the clean state (or logits) that the network estimates."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """What is made of the network's outputs: draws from its distributions, or their mean, at a temperature."""

    temperature: float | None
    """None where the process has no distributions."""
    cooling: float
    draws: bool

    @classmethod
    def of(cls, settings: SampleSettings, process: Process, scheduler: Any) -> "Estimates":
        """What was asked for, and otherwise what suits process and scheduler.

        Raises:
            SmaltiError: settings that process or scheduler cannot do with.
        """
        kind, can_draw = type(process).__name__.lower(), row_of(scheduler).draws
        if process.default_temperature is None and (settings.temperature is not None or settings.draws is not None):
            raise SmaltiError(f"temperature and draws are of distributions over codewords; a {kind} model has none.")
        if settings.draws and not can_draw:
            raise SmaltiError(
                f"{type(scheduler).__name__} goes by the estimates of several steps, which draws do not suit; take no "
                "draws, or another scheduler."
            )
        if settings.draws is False and not process.has_mean:
            raise SmaltiError(f"a {kind} model draws indices, which have no mean; leave out that there be no draws.")
        if settings.cooling is not None and process.default_cooling is None:
            raise SmaltiError(f"cooling lowers a temperature with the noise; a {kind} model knows of none.")
        temperature = process.default_temperature if settings.temperature is None else settings.temperature
        cooling = process.default_cooling if settings.cooling is None else settings.cooling
        draws = can_draw if settings.draws is None else settings.draws
        return cls(temperature, cooling or 0.0, draws)

    def at(self, process: Process, level: Level) -> float | None:
        """The temperature at a level."""
        return None if self.temperature is None else process.cooled(self.temperature, level, self.cooling)


@dataclass(frozen=True, slots=True)
class Start:
    """Latents to begin with instead of noise alone, and how much noise they are put under."""

    latents: Int64[Tensor, "B c h w"]
    strength: float
    """A position on the noise schedule, from more than 0 to 1, where next to nothing is left of them. Sampling begins
    with the first step at no more noise than there, or with the last step."""

    def __post_init__(self) -> None:
        """Refuse what is no position.

        Raises:
            SmaltiError: so it is.
        """
        if not 0 < self.strength <= 1:
            raise SmaltiError(f"a strength of {self.strength:g}: it must be more than 0, and at most 1.")

    def of(self, numbers: list[int], device: torch.device) -> "Start":
        """That of some of the latents, on a device."""
        return Start(self.latents[numbers].to(device), self.strength)

    def first(self, process: Process, steps: Steps) -> int:
        """The step that sampling begins with."""
        latest = self.strength * TRAINING_TIMESTEPS
        told = ((step, process.time(steps.ahead(step, self.latents))) for step in steps.beginnings)
        return next((step for step, times in told if times[0] <= latest), steps.beginnings[-1])


@torch.no_grad()
def sample_state(
    process: Process,
    steps: Steps,
    network: Network,
    noise: Float[Tensor, "B n h w"],
    *,
    estimates: Estimates,
    start: Start | None = None,
    generator: Generators = None,
    on_estimate: OnEstimate | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    """The last state of a process: at each step the network is shown the state, and the scheduler makes the next.

    Args:
        process: what inputs and outputs mean.
        steps: of a scheduler.
        network: what estimates.
        noise: standard normal numbers to begin with; with `start` as many as corrupting takes.
        estimates: what is made of the network's outputs.
        start: latents to begin with.
        generator: of what is drawn on the way.
        on_estimate: told of every estimate.
        progress: wraps the numbers of the steps, to show how far it is.
    """
    if start is None:
        first, state = 0, process.begin(noise, steps.scale)
    else:
        first = start.first(process, steps)
        state = steps.begin(first, process.corrupt(start.latents, steps.ahead(first, noise), noise))
    previous = None
    for step in progress(range(first, len(steps))):
        shown = steps.shown(step, state)
        level = steps.level(step, shown)
        out = network(process.inputs(shown, previous), process.time(level)).float()
        clean = process.estimate(out, shown, level, estimates.at(process, level), generator, draws=estimates.draws)
        if process.self_conditioning:
            previous = process.estimate(out, shown, level)
        if on_estimate is not None:
            on_estimate(int(steps.times[step]), clean)
        state = steps.take(step, state, clean, generator)
    return state
