"""Dropout that is the same however many processes share a batch."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BatchDropout(nn.Dropout):
    """Dropout whose masks are drawn for a whole batch, of which this process has every n-th image."""

    def __init__(self, p: float = 0.0):
        super().__init__(p)
        self._drawing = 0, 0, 1

    def draw(self, seed: int, rank: int, ranks: int) -> None:
        """Let the masks follow from a seed that all processes have alike; this one has every n-th from `rank` on."""
        self._drawing = seed, rank, ranks

    def forward(self, input: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Some of the input as 0, and the rest of it enlarged for that."""
        if not (self.training and self.p):
            return input
        seed, rank, ranks = self._drawing
        generator = torch.Generator(input.device).manual_seed(seed)
        chance = torch.rand((ranks * len(input), *input.shape[1:]), generator=generator, device=input.device)
        return input * (chance[rank::ranks] >= self.p) / (1 - self.p)
