"""The closed-form decoder that looks at the neighbours: ridge regression over 3x3 decoded patches."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, unfold

_REACH = 3  # patches on a side of what it looks at
_RIDGE = 1e-4  # of the mean variance: keeps directions in which no patch varies where they are

Grid = Float[Tensor, "B Cn h w"]


class LinearDeblocker(nn.Module):
    """Each plane's patch plus a linear function of its 3x3 neighbourhood, borders continued by the last patch.

    `weight` (C * n, n, 3, 3) is a grouped convolution on the grid of patches, a group a plane.
    """

    weight: Tensor

    def __init__(self, planes: int, dimension: int):
        super().__init__()
        self.planes = planes
        self.register_buffer("weight", torch.zeros(planes * dimension, dimension, _REACH, _REACH))

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
        solved = torch.linalg.solve(gram + ridge, cross)  # (C, 9n, n)
        self.weight.copy_(solved.transpose(1, 2).reshape(self.weight.shape))
