"""The loop of generation: from noise, step by step, to the state that a latent is read off."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from smalti.diffusion import Level, Process
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


@torch.no_grad()
def sample_state(
    process: Process,
    steps: Steps,
    network: Network,
    noise: Float[Tensor, "B ck h w"],
    *,
    estimates: Estimates,
    generator: Generators = None,
    on_estimate: OnEstimate | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    """The last state of a process: at each step the network is shown the state, and the scheduler makes the next.

    Args:
        process: what inputs and outputs mean.
        steps: of a scheduler.
        network: what estimates.
        noise: standard normal numbers to begin with.
        estimates: what is made of the network's outputs.
        generator: of what is drawn on the way.
        on_estimate: told of every estimate.
        progress: wraps the numbers of the steps, to show how far it is.
    """
    state = process.begin(noise, steps.scale)
    previous = None
    for step in progress(range(len(steps))):
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
