"""A network from pixels to pixels: what coding has done to a picture, undone as far as it can be guessed."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle, silu

from smalti.pixels import CENTRE

_STRIDE = 2  # the network works at half the resolution
_INPUT_SCALE = 64.0  # grey levels
_OUTPUT_SCALE = 16.0


class PixelNetwork(nn.Module):
    """Grey levels (B, C, H, W) of pictures of any size, to better ones of the same size, not clipped.

    A residual convolutional network; it learns the difference, and untrained it changes nothing. `patch` is the side
    of the codec's patches: the network is told where in a patch each pixel lies, which a convolution cannot know.
    """

    def __init__(self, channels: int, patch: int, width: int, blocks: int):
        super().__init__()
        period = patch if patch % _STRIDE == 0 else patch * _STRIDE
        self.read = nn.Conv2d(channels * _STRIDE**2, width, 3, padding=1)
        self.place = nn.Parameter(torch.zeros(1, width, period // _STRIDE, period // _STRIDE))
        self.body = nn.Sequential(*[_Residual(width) for _ in range(blocks)])
        self.write = nn.Conv2d(width, channels * _STRIDE**2, 3, padding=1)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)  # pyright: ignore[reportArgumentType]

    @property
    def receptive(self) -> int:
        """Pixels on each side that one of the better picture depends on."""
        return _STRIDE * (2 + 2 * len(self.body))

    def forward(self, pixels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The better picture; patches are counted from the upper left corner."""
        height, width = pixels.shape[2:]
        padded = pad(pixels, (0, -width % _STRIDE, 0, -height % _STRIDE), mode="replicate")
        shown = pixel_unshuffle((padded - CENTRE) / _INPUT_SCALE, _STRIDE)
        hidden = self.read(shown.to(self.read.weight.dtype))
        rows, columns = hidden.shape[2:]
        down, across = -(-rows // self.place.shape[2]), -(-columns // self.place.shape[3])
        hidden = hidden + self.place.repeat(1, 1, down, across)[..., :rows, :columns]
        change = pixel_shuffle(self.write(silu(self.body(hidden))), _STRIDE)
        return pixels + _OUTPUT_SCALE * change[..., :height, :width]


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Float[Tensor, "B c h w"]) -> Float[Tensor, "B c h w"]:
        return x + self.second(silu(self.first(x)))
