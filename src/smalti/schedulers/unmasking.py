"""Which masks become indices at a step of masked diffusion: diffusers' token scheduler, and two more orders."""

from math import cos, pi
from typing import Any, Literal, get_args

import torch
from diffusers import AmusedScheduler
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float, Int64
from scipy.stats import qmc
from torch import Tensor
from torch.special import ndtr

from smalti.diffusion.draws import Generators, draw
from smalti.errors import SmaltiError
from smalti.mixins import register_to_config

Order = Literal["confidence", "halton", "random"]


class Unmasking(AmusedScheduler):
    """Steps of masked diffusion on grids of indices: after step i of N, cos(pi i / 2N) of them are still masked.

    What is unmasked first is chosen by `unmasking`:

    - "confidence": the indices drawn with the highest probability, with some chance (`AmusedScheduler`).
    - "halton": places spread over the grid by a Halton sequence (Besnier et al. 2025), all channels of a place in turn.
    - "random": any; each step then follows the reverse process of MDLM.

    With "random" and "halton", `remask` is the share of known indices that are masked again and drawn anew at each step
    but the last, while as many more are unmasked (Wang et al. 2025).
    """

    init_noise_sigma = 1.0

    @register_to_config
    def __init__(self, mask_token_id: int, unmasking: Order = "confidence", remask: float = 0.0):
        super().__init__(mask_token_id)
        if unmasking not in get_args(Order):
            raise SmaltiError(f"'{unmasking}' is no order; take one of {', '.join(get_args(Order))}.")
        if not 0 <= remask < 1 or (remask and unmasking == "confidence"):
            raise SmaltiError(f"a share of {remask:g} masked again: take 0 to 1, and 0 with the order by confidence.")

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """The state as it is."""
        del timestep
        return sample

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        model_output: Float[Tensor, "B c K h w"],
        timestep: Tensor,
        sample: Int64[Tensor, "B c h w"],
        starting_mask_ratio: float = 1.0,
        generator: Generators = None,
    ) -> SchedulerOutput:
        """The state after drawing some of what is masked; with a list of generators each image has its own.

        `starting_mask_ratio` is the share that was masked at first.
        """
        settings: Any = self.config
        if settings.unmasking == "confidence":
            return self._by_confidence(model_output, timestep, sample, starting_mask_ratio, generator)
        drawn = torch.where(sample == settings.mask_token_id, draw(model_output, 1.0, generator), sample)
        taken = len(self.timesteps) - int(timestep)  # pyright: ignore[reportArgumentType]
        places = sample[0].numel()
        left = int(places * starting_mask_ratio * cos(pi / 2 * taken / len(self.timesteps)))  # pyright: ignore
        if int(timestep) == 0 or not left:
            return SchedulerOutput(drawn)
        known = sample != settings.mask_token_id
        rank = self._halton(sample)
        if settings.unmasking == "random" or settings.remask:
            chance = ndtr(randn_tensor(tuple(sample.shape), generator, sample.device))
            known = known & (chance >= settings.remask)
            rank = chance if settings.unmasking == "random" else rank
        # The places of the highest rank stay masked; what is known comes before all that is not.
        last = torch.where(known, -1.0, rank).flatten(1).topk(left).indices
        masks = torch.zeros_like(sample.flatten(1), dtype=torch.bool).scatter_(1, last, True).reshape(sample.shape)
        return SchedulerOutput(drawn.masked_fill(masks, settings.mask_token_id))

    def _by_confidence(
        self, logits: Tensor, timestep: Tensor, sample: Tensor, share: float, generator: Generators
    ) -> SchedulerOutput:
        """The step of diffusers, which takes sequences, and one generator."""
        tokens = sample.flatten(1)
        scores = logits.permute(0, 1, 3, 4, 2).flatten(1, 3)
        each = generator if isinstance(generator, list) else [generator]
        size = 1 if isinstance(generator, list) else len(sample)
        after = [
            super(Unmasking, self).step(part, timestep, own, share, drawn_by, return_dict=False)[0]  # pyright: ignore
            for part, own, drawn_by in zip(scores.split(size), tokens.split(size), each, strict=True)
        ]
        return SchedulerOutput(torch.cat(after).reshape(sample.shape))  # pyright: ignore

    def _halton(self, sample: Int64[Tensor, "B c h w"]) -> Float[Tensor, "1 c h w"]:
        """When each place has its turn, 0 to 1: places by the sequence, channels of a place far from each other."""
        channels, rows, columns = sample.shape[1:]
        order: dict[tuple[int, int], None] = {}
        sequence = qmc.Halton(2, scramble=False)
        while len(order) < rows * columns:
            for down, across in sequence.random(rows * columns):
                order.setdefault((int(down * rows), int(across * columns)))
        turn = torch.empty(rows, columns)
        for number, place in enumerate(order):
            turn[place] = number
        by_channel = torch.arange(channels)[:, None, None] * rows * columns / channels
        return (((turn + by_channel) % (rows * columns)) / (rows * columns))[None].to(sample.device)
