"""What a codec may do beyond the sum of codewords: decoders that look at the neighbouring patches."""

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, unfold

from smalti.codec.patches import from_grid, on_grid
from smalti.codec.spec import CodecSpec
from smalti.errors import SmaltiError
from smalti.nets import PixelNetwork

Deblock = Literal["none", "linear", "convolutional"]

_REACH = 3  # patches on a side of what the linear one looks at
_RIDGE = 1e-4  # of the mean variance: keeps directions in which no patch varies where they are

Grid = Float[Tensor, "B Cn h w"]


class Deblocker(nn.Module):
    """What happens to decoded patches before, and to decoded pictures after, the patches are put together: nothing."""

    reach = 0
    """Pixels on each side that a decoded one depends on, beside its own patch."""

    def patches(self, patches: Float[Tensor, "C N n"], grid: tuple[int, int]) -> Float[Tensor, "C N n"]:
        """Centred planes of patches on `grid` = (h, w) places an image."""
        del grid
        return patches

    def picture(self, levels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Grey levels of whole pictures."""
        return levels

    def fit(self, pairs: Iterable[tuple[Grid, Grid]]) -> None:
        """Learn from (decoded, original) grids of patches, where that takes no training."""
        del pairs


class LinearDeblocker(Deblocker):
    """Each plane's patch plus a linear function of its 3x3 neighbourhood, borders continued by the last patch.

    `weight` (C * n, n, 3, 3) is a grouped convolution on the grid of patches, a group a plane.
    """

    weight: Tensor

    def __init__(self, planes: int, dimension: int):
        super().__init__()
        self.planes = planes
        self.reach = int(dimension**0.5)
        self.register_buffer("weight", torch.zeros(planes * dimension, dimension, _REACH, _REACH))

    def patches(self, patches: Float[Tensor, "C N n"], grid: tuple[int, int]) -> Float[Tensor, "C N n"]:
        """Deblocked patches."""
        return from_grid(self(on_grid(patches, grid)), self.planes)

    def forward(self, patches: Grid) -> Grid:
        """Deblocked patches, C planes of n values at every place of the grid."""
        return patches + conv2d(pad(patches, (1, 1, 1, 1), mode="replicate"), self.weight, groups=self.planes)

    def fit(self, pairs: Iterable[tuple[Grid, Grid]]) -> None:
        """Least squares over (decoded, original) grids of patches."""
        n = self.weight.shape[1]
        wide = n * _REACH**2
        gram = torch.zeros(self.planes, wide, wide, dtype=torch.float64)
        cross = torch.zeros(self.planes, wide, n, dtype=torch.float64)
        for decoded, original in pairs:
            for plane, (seen, missed) in enumerate(
                zip(decoded.split(n, dim=1), (original - decoded).split(n, dim=1), strict=True)
            ):
                windows = unfold(pad(seen, (1, 1, 1, 1), mode="replicate"), _REACH).transpose(1, 2).flatten(0, 1)
                target = missed.permute(0, 2, 3, 1).flatten(0, 2)
                gram[plane] += (windows.T @ windows).double()
                cross[plane] += (windows.T @ target).double()
        variance = gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1.0)  # a plane may be empty: grey photos in colour
        ridge = _RIDGE * variance[:, None, None] * torch.eye(wide, dtype=torch.float64)
        solved = torch.cholesky_solve(cross, torch.linalg.cholesky(gram + ridge))  # (C, 9n, n)
        self.weight.copy_(solved.transpose(1, 2).reshape(self.weight.shape))


class ConvolutionalDeblocker(Deblocker, PixelNetwork):
    """A small network on the decoded picture, trained by `smalti.training.train_deblocker`."""

    @property
    def reach(self) -> int:
        """Pixels on each side that a decoded one depends on."""
        return self.receptive

    def picture(self, levels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Deblocked pictures."""
        return self(levels)


def make_deblocker(kind: str, spec: CodecSpec, width: int, blocks: int) -> Deblocker:
    """A deblocker that changes nothing as yet; `width` and `blocks` are of the convolutional one.

    Raises:
        SmaltiError: an unknown kind.
    """
    match kind:
        case "none":
            return Deblocker()
        case "linear":
            return LinearDeblocker(spec.planes, spec.dimension)
        case "convolutional":
            return ConvolutionalDeblocker(spec.planes, spec.patch, width, blocks)
    raise SmaltiError(f"'{kind}' is no way to deblock; take one of {', '.join(get_args(Deblock))}.")
