"""The loss by level of noise of a network that is trained, and what can be had without one."""

from math import prod

import torch
from jaxtyping import Int64
from torch import Tensor

from smalti.data import AnyLatents
from smalti.devices import put
from smalti.diffusion import Categorical, Process, independent_cross_entropy
from smalti.pipeline import SmaltiPipeline
from smalti.training.generator import LatentBatches, OnHeldOut, generator_losses
from smalti.training.levels import LEVELS, LossByLevel
from smalti.training.settings import TrainSettings

_WITHIN = 16  # levels within each part of the noise schedule
_HELD_OUT = 256  # latents: about as much work as training on a third of that
_PLACES = 256  # for each of these
_ELEMENTS_AT_A_TIME = 2**24  # of outputs


@torch.no_grad()
def loss_by_level(pipe: SmaltiPipeline, latents: AnyLatents, images: int, seed: int = 0) -> LossByLevel:
    """The loss of a model on any latents of its codec, shown labels and estimates as in sampling.

    Images are counted with repetition, the levels spread evenly among them; each of several sizes has its share.
    """
    losses, device = generator_losses(pipe.process, pipe.codec), pipe.process.coordinates.table.device
    found = LossByLevel(device)
    for part in latents.parts:
        batches = LatentBatches(part, pipe.process, TrainSettings(seed=seed, label_dropout=0.0))
        at_a_time = max(1, _ELEMENTS_AT_A_TIME // (pipe.process.out_channels * prod(part.grid)))
        share = -(-images * len(part) // len(latents))
        for first in range(0, share, at_a_time):
            batch = put(batches(range(first, min(first + at_a_time, share))), device)
            terms = losses(pipe.net, batch | {"recall": torch.ones_like(batch["position"], dtype=torch.float32)})
            found.add(batch["position"], torch.stack(list(terms.values())).sum(0))
    return found


def on_held_out(latents: AnyLatents) -> OnHeldOut:
    """What measures the loss of models on some latents, always under the same noise at the same levels."""

    def measured(pipe: SmaltiPipeline) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(0)  # some terms of the loss draw from torch's own generator
            return loss_by_level(pipe, latents.of_classes(pipe.classes), _HELD_OUT).mean

    return measured


@torch.no_grad()
def independent_by_level(process: Process, counts: Int64[Tensor, "c K"]) -> LossByLevel | None:
    """The bound of `independent_cross_entropy`, where the loss of a process is a cross-entropy under Gaussian noise."""
    if not (isinstance(process, Categorical) and process.is_cross_entropy):
        return None
    number = LEVELS * _WITHIN
    position = (torch.arange(number, device=process.coordinates.table.device) + 0.5) / number
    bound = independent_cross_entropy(process.coordinates, counts, process.level(position), _PLACES)
    found = LossByLevel(position.device)
    found.add(position, bound)
    return found
