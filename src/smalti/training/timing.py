"""How fast a model trains here, measured before the run that is to fit a time."""

from itertools import count
from time import perf_counter

import torch

from smalti.data.latents import Latents
from smalti.devices import find_device
from smalti.training.generator import GeneratorSettings, LatentBatches, begin_generator, generator_losses
from smalti.training.settings import TrainSettings

_SECONDS = 2.0
_STEPS = 3


def training_speed(
    latents: Latents, model: GeneratorSettings, training: TrainSettings, device: str | None = None
) -> float:
    """Images a second over a few training steps of a throw-away network."""
    pipe = begin_generator(latents, model)
    place = find_device(device)
    pipe.to(place)
    net = pipe.net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, foreach=True)
    batches, losses = LatentBatches(latents, pipe.process, training), generator_losses(pipe.process, pipe.codec)
    began = perf_counter()
    for step in count():
        if step == 1:  # the first step allocates and chooses kernels
            began = perf_counter()
        batch = {name: tensor.to(place) for name, tensor in batches(step * training.batch_size).items()}
        with torch.autocast(place.type, torch.bfloat16, enabled=place.type == "cuda"):
            loss = torch.stack(list(losses(net, batch).values())).sum(0).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device
        seconds = perf_counter() - began
        if step > _STEPS and seconds > _SECONDS:
            return step * training.batch_size / seconds
    raise AssertionError("unreachable: the loop above does not end")
