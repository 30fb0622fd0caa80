"""Batches coded some pictures at a time, and large pictures in tiles, so that memory stays bounded."""

from collections.abc import Callable
from itertools import product
from math import isqrt

from torch import Tensor

from smalti.threads import in_parts, on_cores

# The planes of so many pixels stay in the processor's cache, and memory stays bounded for any batch.
_PIXELS_AT_A_TIME = 2**18
_PIXELS_OF_A_TILE = 2**17
_LARGE = 2**20  # pixels: such a picture is coded in tiles
_SMALLEST_SIDE = 2  # patches

Code = Callable[[Tensor], Tensor]


def coded(code: Code, batch: Tensor, patch: int, margin: int, scale: tuple[int, int]) -> Tensor:
    """What `code` makes of a batch (B, C, H, W): some pictures at a time, and of large ones a tile at a time.

    On a CPU each core has some of them. Tiles are wider on all sides, by what is cut off again.

    Args:
        code: what is made of a part.
        batch: pixels, whose sides are multiples of the patch, or latents.
        patch: side of a patch in pixels.
        margin: patches on all sides that a patch's code may depend on.
        scale: rows of the batch, and of what is made of it, to a row of patches.
    """
    into, out = scale
    height, width = (side // into for side in batch.shape[2:])
    if height * width * patch**2 <= _LARGE:
        return in_parts(code, max(1, _PIXELS_AT_A_TIME // (height * width * patch**2)), batch)
    margin += margin % 2  # even, as networks at half of the resolution need, like the side
    side = max(_SMALLEST_SIDE, isqrt(_PIXELS_OF_A_TILE) // patch // 2 * 2)
    first, *others = product(range(len(batch)), range(0, height, side), range(0, width, side))

    def tile(picture: int, down: int, across: int) -> Tensor:
        top, left = max(0, down - margin), max(0, across - margin)
        bottom, right = down + side + margin, across + side + margin
        wide = code(batch[picture, None, :, top * into : bottom * into, left * into : right * into])[0]
        return square(wide, down - top, across - left)

    def square(whole: Tensor, down: int, across: int) -> Tensor:
        return whole[:, down * out : (down + side) * out, across * out : (across + side) * out]

    def put(place: tuple[int, int, int], made: Tensor) -> None:
        square(whole[place[0]], *place[1:]).copy_(made)

    made = tile(*first)
    whole = made.new_empty(len(batch), len(made), height * out, width * out)
    put(first, made)
    on_cores(lambda place: put(place, tile(*place)), others, batch.device)
    return whole
