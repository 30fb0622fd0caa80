"""Encoding that knows its decoder: codes chosen again by what the deblocker makes of them."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import avg_pool2d

from smalti.pixels import GREY_LEVELS

_REACH = 3  # patches on a side of what a change of one is judged by


@runtime_checkable
class Coder(Protocol):
    """What is asked of a codec."""

    def encode_float(self, x: Float[Tensor, "B C H W"]) -> Int64[Tensor, "B c h w"]:
        """Codes of grey levels of any value, sides multiples of the patch."""
        ...

    def decode_plain(self, z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "B C H W"]:
        """Sums of codewords alone, without the deblocker."""
        ...

    def decode_float(self, z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "B C H W"]:
        """The decoded picture, before rounding."""
        ...


def choose_again(
    codec: Coder, x: Float[Tensor, "B C H W"], z: Int64[Tensor, "B c h w"], rounds: int
) -> Int64[Tensor, "B c h w"]:
    """Codes whose decoded picture D(z) is nearer to `x`, grey levels with sides that are multiples of the patch.

    If the deblocker adds about the same to neighbouring codes, the best sum of codewords is the one nearest to
    x - (D(z) - y) with y the sum as it is. Those codes are proposed; a patch takes its proposal where the squared
    error over it and its neighbours falls. Neighbours wait for each other, in four turns a round. The changes of a turn
    are made together and a deblocker may look further than a neighbour: an image whose error a turn would raise all the
    same takes none of it.
    """
    pixels = x.shape[2] // z.shape[2]
    error = _around(codec, x, z, pixels)
    for _ in range(rounds):
        proposal = codec.encode_float(x - codec.decode_float(z) + codec.decode_plain(z))
        changed = False
        for turn in range(4):
            differs = (proposal != z).any(1) & _lattice(z, turn)
            if not differs.any():
                continue
            tried = torch.where(differs[:, None], proposal, z)
            better = differs & (_around(codec, x, tried, pixels) < error)
            tried = torch.where(better[:, None], proposal, z)
            after = _around(codec, x, tried, pixels)
            gains = after.sum((1, 2)) < error.sum((1, 2))
            z = torch.where(gains[:, None, None, None], tried, z)
            error = torch.where(gains[:, None, None], after, error)
            changed = changed or bool(gains.any())
        if not changed:
            break
    return z


def _lattice(z: Int64[Tensor, "B c h w"], turn: int) -> Bool[Tensor, "h w"]:
    """Every second patch of every second row."""
    down, across = divmod(turn, 2)
    rows, columns = (torch.arange(side, device=z.device) % 2 for side in z.shape[2:])
    return (rows[:, None] == down) & (columns == across)


def _around(
    codec: Coder, x: Float[Tensor, "B C H W"], z: Int64[Tensor, "B c h w"], pixels: int
) -> Float[Tensor, "B h w"]:
    """Squared error of the decoded picture over each patch and its neighbours."""
    error = (codec.decode_float(z).clamp(0, GREY_LEVELS) - x).square().mean(1)
    return avg_pool2d(avg_pool2d(error, pixels), _REACH, stride=1, padding=_REACH // 2) * _REACH**2
