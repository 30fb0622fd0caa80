"""The loop of generation: from noise, or a latent under noise, step by step to the state that a latent is read off."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from smalti.diffusion import TRAINING_TIMESTEPS, Level, Process
from smalti.diffusion.draws import Generators, images_at_a_time
from smalti.errors import SmaltiError, require_at_least
from smalti.pipeline.settings import SampleSettings
from smalti.schedulers import Steps, row_of
from smalti.threads import joined, on_cores

_STRETCHES = 5  # that steps are gone back by

Network = Callable[[Float[Tensor, "B in h w"], Float[Tensor, " B"]], Float[Tensor, "B *out h w"]]
"""Inputs and times to outputs: a network with its labels, and maybe guided."""

OnStep = Callable[[int, int, Tensor, Tensor], Tensor]
"""Called after every step with its number, the scheduler's time before it, the state after it, and the clean state (or
logits) that the network estimated; gives the state to go on with."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """What is made of the network's outputs: draws from its distributions, or their mean, at a temperature."""

    temperature: float | None
    """None where the process has no distributions."""
    cooling: float
    draws: bool
    extrapolation: float
    """How far the network's outputs are carried on, as DPM-Solver++(2M) does with estimates (Lu et al. 2022): by half
    of a step a step uses what they are in its middle, and not where it begins."""

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
        extrapolation = process.default_extrapolation if settings.extrapolation is None else settings.extrapolation
        if settings.extrapolation is not None and not (draws and process.default_extrapolation is not None):
            raise SmaltiError(
                "extrapolation is of the logits that a categorical model draws from; leave it out for a mean, for a "
                f"scheduler that goes by several steps itself, and for a {kind} model that is none."
            )
        return cls(temperature, cooling or 0.0, draws, (extrapolation or 0.0) if draws else 0.0)

    def clean(
        self,
        process: Process,
        out: Float[Tensor, "B *out h w"],
        last: Float[Tensor, "B *out h w"] | None,
        shown: Tensor,
        level: Level,
        generator: Generators,
    ) -> Tensor:
        """What the clean state is taken for: of an output, carried on the way that it went since that before, `last`.

        On a CPU each core has some of the images, a few at a time, which stay in its cache; unless one generator draws
        for all of them, in their order.
        """
        temperature = None if self.temperature is None else process.cooled(self.temperature, level, self.cooling)
        further = process.carried(self.extrapolation, level) if self.extrapolation else 0.0

        def of(images: slice) -> Tensor:
            own = out[images].float()
            if last is not None and further:
                own = (own - last[images].float()).mul_(further).add_(own)
            draws = generator[images] if isinstance(generator, list) else generator
            return process.estimate(own, shown[images], level[images], temperature, draws, draws=self.draws)

        apart = out.device.type == "cpu" and (isinstance(generator, list) or not self.draws)
        count = images_at_a_time(out) if apart else len(out)
        return joined(on_cores(of, [slice(first, first + count) for first in range(0, len(out), count)], out.device))


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


@dataclass(frozen=True, slots=True)
class Known:
    """Latents of which some places are made anew, and all others stay."""

    latents: Int64[Tensor, "B c h w"]
    free: Bool[Tensor, "rows columns"]
    """The places that are made."""
    jumps: int = 0
    """How often each fifth of the steps but the last is gone back and taken again, so that what is made gets to agree
    with what is known (RePaint, Lugmayr et al. 2022)."""

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            SmaltiError: so it is.
        """
        require_at_least(0, jumps=self.jumps)
        if self.latents.shape[2:] != self.free.shape:
            grid, places = (f"{rows}x{columns}" for rows, columns in (self.latents.shape[2:], self.free.shape))
            raise SmaltiError(f"a mask of {places} places for latents of {grid}; make them agree.")

    def of(self, numbers: list[int], device: torch.device) -> "Known":
        """That of some of the latents, on a device."""
        return Known(self.latents[numbers].to(device), self.free.to(device), self.jumps)


def require_shape(shape: tuple[int, ...], start: Start | None, known: Known | None) -> None:
    """Refuse latents to begin with, or that are known, of another shape than is made.

    Raises:
        SmaltiError: so they are.
    """
    for given, to in ((start, "to begin with"), (known, "that are known")):
        if given is not None and given.latents.shape != shape:
            raise SmaltiError(f"latents of shape {tuple(given.latents.shape)} {to}; they must be {shape}.")


@torch.no_grad()
def sample_state(
    process: Process,
    steps: Steps,
    network: Network,
    noise: Float[Tensor, "B n h w"],
    *,
    estimates: Estimates,
    start: Start | None = None,
    known: Known | None = None,
    generator: Generators = None,
    on_step: OnStep | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    """The last state of a process: at each step the network is shown the state, and the scheduler makes the next.

    Where codes are known the network's estimate gives way to them: from a state of them under noise the scheduler's own
    steps then lead to them, at every step under the noise of that step.

    Args:
        process: what inputs and outputs mean.
        steps: of a scheduler.
        network: what estimates.
        noise: standard normal numbers to begin with; with `start` as many as corrupting takes.
        estimates: what is made of the network's outputs.
        start: latents to begin with.
        known: latents that are known in part.
        generator: of what is drawn on the way.
        on_step: told of every step.
        progress: wraps the numbers of the steps, to show how far it is.
    """
    if known is not None:
        steps.free = float(known.free.float().mean())
    if start is None:
        first, state = 0, process.begin(noise, steps.scale)
    else:
        first = start.first(process, steps)
        state = steps.begin(first, process.corrupt(start.latents, steps.ahead(first, noise), noise))
    held = None
    if known is not None:
        held = _Held(known, process, steps, generator)
        state = held.begun(first, state)
    previous = last = None
    jumps = 0 if known is None else known.jumps
    visits = _visits(first, len(steps), jumps, steps.beginnings.step) if jumps else range(first, len(steps))
    for step in progress(visits):
        if held is not None:
            noisier = held.gone_back(step, state)
            last = last if noisier is state else None  # steps back are no way to go on
            state = noisier
        shown = steps.shown(step, state)
        level = steps.level(step, shown)
        out = network(process.inputs(shown, previous), process.time(level))
        clean = estimates.clean(process, out, last, shown, level, generator)
        last = out
        if process.self_conditioning:
            previous = process.estimate(out.float(), shown, level)
        if held is not None:
            clean = held.told(clean)
            previous = None if previous is None else held.told(previous)
        state = steps.take(step, state, clean, generator)
        if held is not None:
            state = process.put_back(state, held.known.latents, held.known.free)
        if on_step is not None:
            state = on_step(step, int(steps.times[step]), state, clean)
    return state


def _visits(first: int, last: int, jumps: int, order: int) -> list[int]:
    """The steps in the order in which they are taken: fifths of them but the last `jumps` times more."""
    count = last - first
    begins = sorted({first + count * part // _STRETCHES // order * order for part in range(_STRETCHES)})
    ends = [*begins[1:], last]
    return [
        step
        for begin, end in zip(begins, ends, strict=True)
        for _ in range(1 if end == last else 1 + jumps)
        for step in range(begin, end)
    ]


class _Held:
    """What is known, in the course of one sampling."""

    def __init__(self, known: Known, process: Process, steps: Steps, generator: Generators):
        self.known = known
        self._process, self._steps, self._generator = process, steps, generator
        self._certain = process.certain(known.latents)
        self._next: int | None = None

    def begun(self, first: int, state: Tensor) -> Tensor:
        """The first state, with what is known under its noise."""
        noise = self._noise()
        level = self._steps.ahead(first, noise)
        own = self._steps.begin(first, self._process.corrupt(self.known.latents, level, noise))
        return self._process.put_back(torch.where(self.known.free, state, own), self.known.latents, self.known.free)

    def told(self, estimate: Tensor) -> Tensor:
        """An estimate, with what is known in its place."""
        return torch.where(self.known.free, estimate, self._certain)

    def gone_back(self, step: int, state: Tensor) -> Tensor:
        """The state before a step; where that was taken before, the one there is under more noise."""
        after, self._next = self._next, step + 1
        if after is None or step == after:
            return state
        shown, noise = self._steps.shown(after, state), self._noise()
        level, later = self._steps.level(after, shown), self._steps.ahead(step, shown)
        noisier = self._process.noisier(shown, level, later, noise, self.known.free)
        return self._steps.begin(step, self._process.put_back(noisier, self.known.latents, self.known.free))

    def _noise(self) -> Float[Tensor, "B n h w"]:
        latents = self.known.latents
        shape = (len(latents), self._process.noise_channels, *latents.shape[2:])
        return randn_tensor(shape, self._generator, latents.device)
