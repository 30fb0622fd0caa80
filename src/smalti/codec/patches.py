"""Planes cut into patches, and put together again."""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float, Integer, Num
from torch import Tensor

from smalti.errors import SmaltiError


def pad_to_patches(pixels: Integer[Tensor, "B C H W"], patch: int) -> Integer[Tensor, "B C Hp Wp"]:
    """Repeat the last row and column until both sides are multiples of `patch`."""
    height, width = pixels.shape[-2:]
    down, right = -height % patch, -width % patch
    if not (down or right):
        return pixels
    return F.pad(pixels.float(), (0, right, 0, down), mode="replicate").to(pixels.dtype)


def to_patches(planes: Num[Tensor, "B C H W"], patch: int) -> Num[Tensor, "C N n"]:
    """Cut planes into patches, N = B * (H/s) * (W/s) of them, row by row, each a vector of n = s * s values."""
    b, c, height, width = planes.shape
    cut = planes.reshape(b, c, height // patch, patch, width // patch, patch)
    return cut.permute(1, 0, 2, 4, 3, 5).reshape(c, -1, patch * patch)


def from_patches(patches: Float[Tensor, "C N n"], grid: tuple[int, int], patch: int) -> Float[Tensor, "B C H W"]:
    """The inverse of `to_patches` for images of `grid` = (h, w) patches."""
    rows, columns = grid
    c = patches.shape[0]
    tiles = patches.reshape(c, -1, rows, columns, patch, patch)
    return tiles.permute(1, 0, 2, 4, 3, 5).reshape(-1, c, rows * patch, columns * patch)


def on_grid(patches: Float[Tensor, "C N n"], grid: tuple[int, int]) -> Float[Tensor, "B Cn h w"]:
    """Patches as pixels of a coarse image with C * n channels, where convolutions see a patch's neighbours."""
    c, _, n = patches.shape
    return patches.reshape(c, -1, *grid, n).permute(1, 0, 4, 2, 3).flatten(1, 2).contiguous()


def from_grid(image: Float[Tensor, "B Cn h w"], planes: int) -> Float[Tensor, "C N n"]:
    """The inverse of `on_grid`."""
    return image.unflatten(1, (planes, -1)).permute(1, 0, 3, 4, 2).flatten(1, 3)


def require_batch(x: Any) -> None:
    """Refuse what is no tensor (B, C, H, W), and say how it is made into one.

    Raises:
        SmaltiError: so it is.
    """
    if not isinstance(x, Tensor):
        raise SmaltiError(
            f"a {type(x).__name__} is no batch of images (B, C, H, W); of a picture, or an array (H, W, C), make "
            "torch.from_numpy(numpy.array(x)).permute(2, 0, 1)[None], uint8."
        )
    if x.ndim != 4:
        raise SmaltiError(
            f"{x.dtype} of shape {tuple(x.shape)}: images are (B, C, H, W); of a single one take x[None]."
        )
