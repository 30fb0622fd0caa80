"""How fast networks train here, measured before the run that is to fit a time."""

from itertools import count
from time import perf_counter

import numpy as np
import torch
from torch import nn

from smalti.data.latents import Latents
from smalti.devices import find_device, trains_in_bf16
from smalti.training.generator import GeneratorSettings, LatentBatches, begin_generator, generator_losses
from smalti.training.loop import Batches, Losses
from smalti.training.refiner import PairBatches, RefinerSettings, refiner_losses
from smalti.training.settings import TrainSettings

_SECONDS = 2.0
_STEPS = 3
_PHOTOS = 64


def training_speed(
    latents: Latents, model: GeneratorSettings, training: TrainSettings, device: str | None = None
) -> float:
    """Images a second over a few training steps of a throw-away generator."""
    pipe = begin_generator(latents, model).to(find_device(device))
    batches, losses = LatentBatches(latents, pipe.process, training), generator_losses(pipe.process, pipe.codec)
    return _speed(pipe.net, batches, losses, training.batch_size, pipe.device)


def refining_speed(
    latents: Latents, model: GeneratorSettings, settings: RefinerSettings, device: str | None = None
) -> float:
    """Pictures a second over a few training steps of a throw-away refiner; decoded latents stand for photos."""
    pipe = begin_generator(latents, model).to(find_device(device))
    photos = list(pipe.decode(latents[np.arange(min(_PHOTOS, len(latents)))].to(pipe.device)).cpu())
    net = settings.network(pipe.codec.spec)
    batches = PairBatches(photos, pipe, settings.latest, settings.training(0))
    return _speed(net.to(pipe.device), batches, refiner_losses(pipe), settings.pairs_a_step, pipe.device)


def _speed(net: nn.Module, batches: Batches, losses: Losses, batch_size: int, device: torch.device) -> float:
    """Images a second over a few training steps that change nothing."""
    net = net.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, foreach=True)
    began = perf_counter()
    for step in count():
        if step == 1:  # the first step allocates and chooses kernels
            began = perf_counter()
        batch = {name: tensor.to(device) for name, tensor in batches(step * batch_size).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=trains_in_bf16(device)):
            loss = torch.stack(list(losses(net, batch).values())).sum(0).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device
        seconds = perf_counter() - began
        if step > _STEPS and seconds > _SECONDS:
            return step * batch_size / seconds
    raise AssertionError("unreachable: the loop above does not end")
