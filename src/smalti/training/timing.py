"""How fast networks train here, measured before the run that is to fit a time."""

from collections.abc import Callable
from itertools import count
from time import perf_counter

import numpy as np
from torch import nn

from smalti.data import Latents
from smalti.devices import join_processes
from smalti.training.generator import GeneratorSettings, LatentBatches, begin_generator, generator_losses
from smalti.training.learner import Batches, Learner, Losses
from smalti.training.refiner import PairBatches, RefinerSettings, refiner_losses
from smalti.training.settings import TrainSettings

_SECONDS = 2.0
_STEPS = 3
_PHOTOS = 64

Clock = Callable[[], float]
"""Seconds so far: `perf_counter`, or `process_time` where other programs are at work too."""


def training_speed(
    latents: Latents,
    model: GeneratorSettings,
    training: TrainSettings,
    device: str | None = None,
    clock: Clock = perf_counter,
) -> float:
    """Images a second over a few training steps of a throw-away generator."""
    pipe = begin_generator(latents, model).to(join_processes(device).device)
    losses = generator_losses(pipe.process, pipe.codec)
    return speed(pipe.net, LatentBatches(latents, pipe.process, training), losses, training, device, clock)


def refining_speed(
    latents: Latents,
    model: GeneratorSettings,
    settings: RefinerSettings,
    device: str | None = None,
    clock: Clock = perf_counter,
) -> float:
    """Pictures a second over a few training steps of a throw-away refiner; decoded latents stand for photos."""
    pipe = begin_generator(latents, model).to(join_processes(device).device)
    photos = list(pipe.decode(latents[np.arange(min(_PHOTOS, len(latents)))].to(pipe.device)).cpu())
    training = settings.training(0)
    batches = PairBatches(photos, pipe, settings.latest, training)
    return speed(settings.network(pipe.codec.spec), batches, refiner_losses(pipe), training, device, clock)


def speed(
    net: nn.Module,
    batches: Batches,
    losses: Losses,
    settings: TrainSettings,
    device: str | None = None,
    clock: Clock = perf_counter,
) -> float:
    """Images a second over a few steps of a network that is not kept."""
    learner = Learner(net, losses, settings, device)
    began = clock()
    for step in count():
        if step == 1:  # the first step allocates and chooses kernels
            began = clock()
        learner.step(batches, step * settings.batch_size)["loss"].item()  # waits for the device
        seconds = clock() - began
        if step > _STEPS and seconds > _SECONDS:
            return step * settings.batch_size / seconds
    raise AssertionError("unreachable: the loop above does not end")
