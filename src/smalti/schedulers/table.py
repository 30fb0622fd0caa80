"""One table of schedulers: by which name each is asked for, what it suits, how it is made, how its noise is read."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import diffusers
import torch

from smalti.diffusion import TRAINING_TIMESTEPS, Gaussian, Masked, Multinomial, Process
from smalti.diffusion.schedule import for_schedulers
from smalti.errors import SmaltiError
from smalti.schedulers.resampling import Resampling
from smalti.schedulers.steps import CumulativeSteps, PlacedSteps, RatioSteps, ReplacingSteps, Steps, UnmaskingSteps
from smalti.schedulers.unmasking import Order, Unmasking

# "trailing": the first step starts at the noisiest time, where the state is the noise it is started from. The last is
# of some schedulers alone; the others carry it on, to those that are made of their configurations.
_SHARED = {
    "num_train_timesteps": TRAINING_TIMESTEPS,
    "prediction_type": "sample",
    "timestep_spacing": "trailing",
    "clip_sample": False,
}

_SPACING = 1.75  # most of what a picture is made of is decided at little noise (benchmarks/ablation.py)


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """A row of the table."""

    suits: type[Process]
    """The processes that it is for."""
    kind: type
    """Its class, by which one that was loaded with a model is known again."""
    steps: Callable[..., Steps]
    """How its steps are taken, and how noise is read off them."""
    draws: bool
    """Whether its step looks at the estimate of that step alone, so that draws can stand for it."""
    spacing: float | None = None
    """How much its steps crowd towards little noise (`PlacedSteps`); None where they cannot be placed."""
    make: Callable[[Any], dict[str, Any]] = field(default=lambda process: {})
    """Its configuration for a process; what its class does not know is carried on by `X.from_config(its.config)`."""


def _for_gaussian(process: Gaussian, **more: Any) -> dict[str, Any]:
    """The configuration of a scheduler of diffusers, on the noise schedule that the process was trained with."""
    return {**_SHARED, **for_schedulers(process.config["beta_schedule"]), **more}


def _diffusers(kind: type, steps: type[Steps], draws: bool, spacing: float | None = None, **settings: Any) -> Scheduler:
    make = partial(_for_gaussian, **settings)
    return Scheduler(suits=Gaussian, kind=kind, steps=steps, draws=draws, spacing=spacing, make=make)


def _unmasking(order: Order) -> Scheduler:
    def arguments(process: Masked) -> dict[str, Any]:
        return {"mask_token_id": process.mask, "unmasking": order}

    return Scheduler(suits=Masked, kind=Unmasking, steps=UnmaskingSteps, draws=True, make=arguments)


def _for_multinomial(process: Multinomial) -> dict[str, Any]:
    return {"codewords": process.coordinates.sizes.tolist(), "num_train_timesteps": TRAINING_TIMESTEPS}


SCHEDULERS: dict[str, Scheduler] = {
    "ddpm": _diffusers(diffusers.DDPMScheduler, PlacedSteps, draws=True, spacing=_SPACING),
    "ddim": _diffusers(diffusers.DDIMScheduler, CumulativeSteps, draws=True),
    "dpmsolver++": _diffusers(diffusers.DPMSolverMultistepScheduler, RatioSteps, draws=False),
    "unipc": _diffusers(diffusers.UniPCMultistepScheduler, RatioSteps, draws=False),
    "euler": _diffusers(diffusers.EulerDiscreteScheduler, RatioSteps, draws=False),
    "heun": _diffusers(diffusers.HeunDiscreteScheduler, RatioSteps, draws=False),
    # Goes back to noise of the next time all the way, instead of keeping some of what was there.
    "renoise": _diffusers(
        diffusers.LCMScheduler, CumulativeSteps, draws=True, original_inference_steps=TRAINING_TIMESTEPS
    ),
    "unmask": _unmasking("confidence"),
    "unmask-halton": _unmasking("halton"),
    "unmask-random": _unmasking("random"),
    "multinomial": Scheduler(
        suits=Multinomial, kind=Resampling, steps=ReplacingSteps, draws=True, make=_for_multinomial
    ),
}
"""To add a scheduler, add a row."""


def schedulers_of(process: Process) -> list[str]:
    """The names of the schedulers that suit a process."""
    return [name for name, row in SCHEDULERS.items() if isinstance(process, row.suits)]


def make_scheduler(name: str, process: Process) -> Any:
    """The scheduler called `name`, on the noise schedule that the process was trained with.

    Raises:
        SmaltiError: no scheduler of that name suits the process.
    """
    known = schedulers_of(process)
    if name not in known:
        kind = type(process).__name__.lower()
        raise SmaltiError(f"'{name}' is no scheduler of a {kind} process; take one of {', '.join(known)}.")
    row = SCHEDULERS[name]
    return cast(Any, row.kind).from_config(row.make(process))


def row_of(scheduler: Any) -> Scheduler:
    """The row that a scheduler belongs to, by its class.

    Raises:
        SmaltiError: it is of a class that is in no row.
    """
    for row in SCHEDULERS.values():
        if isinstance(scheduler, row.kind):
            return row
    raise SmaltiError(
        f"{type(scheduler).__name__} is no scheduler that is known how to sample with; take "
        f"make_scheduler(name, process) with one of {', '.join(SCHEDULERS)}."
    )


def require_suits(scheduler: Any, process: Process) -> None:
    """Refuse a scheduler that a process cannot be sampled with: of another kind, or set up for something else.

    One that was made of the configuration of another that suits, as by `X.from_config(pipe.scheduler.config)`, suits.

    Raises:
        SmaltiError: so it is.
    """
    known = schedulers_of(process)
    rows = [SCHEDULERS[name] for name in known if isinstance(scheduler, SCHEDULERS[name].kind)]
    wrong = [_differing(scheduler, row.make(process)) for row in rows]
    if not all(wrong):
        return
    why = f"its {wrong[0][0]} is another than that of the process" if wrong else "it is none of those that do"
    raise SmaltiError(
        f"{type(scheduler).__name__} cannot sample this {type(process).__name__.lower()} model ({why}); take "
        f"make_scheduler(name, pipe.process) with one of {', '.join(known)}."
    )


def _differing(scheduler: Any, wanted: dict[str, Any]) -> list[str]:
    """The settings of a scheduler that are not as they have to be; where its steps lie is a choice."""
    own = inspect.signature(type(scheduler).__init__).parameters.keys() & wanted.keys() - {"timestep_spacing"}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in scheduler.config.items()}
    return sorted(name for name in own if plain.get(name) != wanted[name])


def steps_of(
    scheduler: Any, count: int, device: torch.device, spacing: float | None = None, eta: float | None = None
) -> Steps:
    """`count` steps of a scheduler; `spacing`, where another than its own is asked for, is that of `PlacedSteps`.

    `eta` is that of DDIM.

    Raises:
        SmaltiError: the scheduler is none of the table, so many steps cannot be taken, they cannot be placed, or it has
            no eta.
    """
    steps = _steps_of(scheduler, count, device, spacing)
    if eta is not None and "eta" not in inspect.signature(scheduler.step).parameters:
        raise SmaltiError(f"{type(scheduler).__name__} has no eta; leave it out, or take ddim.")
    steps.eta = eta
    return steps


def _steps_of(scheduler: Any, count: int, device: torch.device, spacing: float | None) -> Steps:
    if not 1 <= count <= TRAINING_TIMESTEPS:
        raise SmaltiError(f"steps is {count}; it must be from 1 to {TRAINING_TIMESTEPS}.")
    row = row_of(scheduler)
    if row.spacing is None:
        if spacing is not None:
            placed = ", ".join(name for name, each in SCHEDULERS.items() if each.spacing is not None)
            raise SmaltiError(
                f"{type(scheduler).__name__} places its steps itself; leave the spacing out, or take {placed}."
            )
        return row.steps(scheduler, count, device)
    return row.steps(scheduler, count, device, row.spacing if spacing is None else spacing)
