"""Dropout that is the same however processes, and parts that each takes in turn, share a batch."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BatchDropout(nn.Dropout):
    """Dropout whose masks are drawn for a whole batch, of which some rows are shown at a time."""

    def __init__(self, p: float = 0.0):
        super().__init__(p)
        self._drawing: tuple[int, slice, int | None] = 0, slice(None), None

    def draw(self, seed: int, rows: slice, batch_size: int) -> None:
        """Let the masks follow from a seed that all processes have alike; the input is going to be these rows."""
        self._drawing = seed, rows, batch_size

    def forward(self, input: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """Some of the input as 0, and the rest of it enlarged for that."""
        if not (self.training and self.p):
            return input
        seed, rows, batch_size = self._drawing
        generator = torch.Generator(input.device).manual_seed(seed)
        whole = (batch_size or len(input), *input.shape[1:])
        chance = torch.rand(whole, generator=generator, device=input.device)[rows]
        return input * (chance >= self.p) / (1 - self.p)
