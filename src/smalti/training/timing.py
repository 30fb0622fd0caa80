"""How fast networks train here, measured before the run that is to fit a time."""

from time import perf_counter

import numpy as np

from smalti.data import AnyLatents
from smalti.devices import join_processes
from smalti.training.generator import GeneratorSettings, LatentBatches, begin_generator, generator_losses
from smalti.training.pace import Clock, speed
from smalti.training.refiner import PairBatches, RefinerSettings, refiner_losses
from smalti.training.settings import TrainSettings

_PHOTOS = 64


def training_speed(
    latents: AnyLatents,
    model: GeneratorSettings,
    training: TrainSettings,
    device: str | None = None,
    clock: Clock = perf_counter,
    processes: int = 1,
) -> float:
    """Images a second over a few training steps of a throw-away generator."""
    pipe = begin_generator(latents, model).to(join_processes(device).device)
    losses = generator_losses(pipe.process, pipe.codec)
    return speed(pipe.net, LatentBatches(latents, pipe.process, training), losses, training, device, clock, processes)


def refining_speed(
    latents: AnyLatents,
    model: GeneratorSettings,
    settings: RefinerSettings,
    device: str | None = None,
    clock: Clock = perf_counter,
    processes: int = 1,
) -> float:
    """Pictures a second over a few training steps of a throw-away refiner; decoded latents stand for photos."""
    pipe = begin_generator(latents, model).to(join_processes(device).device)
    part = latents.parts[0]
    photos = list(pipe.decode(part[np.arange(min(_PHOTOS, len(part)))].to(pipe.device)).cpu())
    training = settings.training(0)
    batches = PairBatches(photos, pipe, settings.latest, training)
    return speed(settings.network(pipe.codec.spec), batches, refiner_losses(pipe), training, device, clock, processes)
