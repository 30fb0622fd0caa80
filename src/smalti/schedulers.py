"""Schedulers by name: those of diffusers that take the clean sample as the prediction, and those of indices."""

from typing import Any

import diffusers
from diffusers import AmusedScheduler, SchedulerMixin

from smalti.diffusion import Process, Resampling, Unmasking
from smalti.diffusion.process import TRAINING_TIMESTEPS
from smalti.diffusion.unmasking import Order
from smalti.files import SmaltiError

# Those of diffusers, with what each needs beside `_SHARED`.
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "ddim": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": True}),
    "dpmsolver++": ("DPMSolverMultistepScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    # Goes back to noise of the next time all the way, instead of keeping some of what was there.
    "renoise": ("LCMScheduler", {"clip_sample": False, "original_inference_steps": TRAINING_TIMESTEPS}),
}
_UNMASKING: dict[str, Order] = {"unmask": "confidence", "unmask-halton": "halton", "unmask-random": "random"}
_DRAWING = (diffusers.DDPMScheduler, diffusers.DDIMScheduler, diffusers.LCMScheduler, AmusedScheduler, Resampling)
# "trailing": the first step starts at the noisiest timestep, where the state is the noise it is started from.
_SHARED = {"num_train_timesteps": TRAINING_TIMESTEPS, "prediction_type": "sample", "timestep_spacing": "trailing"}


def make_scheduler(name: str, process: Process) -> Any:
    """The scheduler called `name`, on the noise schedule that the process was trained with.

    Raises:
        SmaltiError: an unknown name.
    """
    if name not in process.schedulers:
        kind = type(process).__name__.lower()
        raise SmaltiError(f"'{name}' is no scheduler of a {kind} process; take one of {', '.join(process.schedulers)}.")
    if name == "multinomial":
        return Resampling(process.coordinates.sizes.tolist(), TRAINING_TIMESTEPS)
    if name in _UNMASKING:
        return Unmasking(process.coordinates.codewords, _UNMASKING[name])
    kind, settings = SCHEDULERS[name]
    return getattr(diffusers, kind)(**_SHARED, **settings, beta_schedule=process.config["beta_schedule"])


def draws_suit(scheduler: SchedulerMixin) -> bool:
    """Whether a scheduler's step looks at the estimate of this step alone, so that draws can stand for it."""
    return isinstance(scheduler, _DRAWING)
