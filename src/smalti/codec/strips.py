"""Batches coded some pictures at a time, and large pictures some rows of patches, so that memory stays bounded."""

from collections.abc import Callable

import torch
from torch import Tensor

from smalti.threads import in_parts, on_cores

# The planes of such pictures stay in the processor's cache, and memory stays bounded for any batch.
_PIXELS_AT_A_TIME = 2**18
_PIXELS_OF_A_STRIP = 2**20

Code = Callable[[Tensor], Tensor]


def coded(code: Code, batch: Tensor, patch: int, margin: int, scale: tuple[int, int]) -> Tensor:
    """What `code` makes of a batch (B, C, H, W): some pictures at a time, and of large ones some rows of patches.

    On a CPU each core has some of them. Strips have more rows on both sides, which are cut off again.

    Args:
        code: what is made of a part.
        batch: pixels, whose sides are multiples of the patch, or latents.
        patch: side of a patch in pixels.
        margin: rows of patches that a row's code may depend on, above and below.
        scale: rows of the batch, and of what is made of it, to a row of patches.
    """
    into, out = scale
    total, width = batch.shape[2] // into, batch.shape[3] // into * patch
    rows = max(2, _PIXELS_OF_A_STRIP // (width * patch) // 2 * 2)  # even, as networks at half of the resolution need
    if total <= rows + margin:
        return in_parts(code, max(1, _PIXELS_AT_A_TIME // (total * patch * width)), batch)
    margin += margin % 2
    strips = [(picture, first) for picture in range(len(batch)) for first in range(0, total, rows)]

    def strip(place: tuple[int, int]) -> Tensor:
        picture, first = place
        last, low = min(first + rows, total), max(0, first - margin)
        made = code(batch[picture : picture + 1, :, low * into : (last + margin) * into])
        return made[0, :, (first - low) * out : (last - low) * out]

    made = on_cores(strip, strips, batch.device)
    each = len(strips) // len(batch)
    return torch.stack([torch.cat(made[first : first + each], dim=1) for first in range(0, len(made), each)])
