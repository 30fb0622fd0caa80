"""Codeword coordinates: each index becomes k floats that a diffusion process can add noise to.

k = 1 by rank is the paper's pseudo-ordinality (section 3.2.1): the codebooks are sorted, so the index itself is the
coordinate. With "principal" coordinates a codeword keeps its first k principal components, of which rank is the
order along the first.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from smalti.codec import Codec
from smalti.codec.ordering import principal_coordinates
from smalti.errors import SmaltiError

CoordinateKind = Literal["rank", "principal"]


class Coordinates(nn.Module):
    """A table (c, K, k): the coordinates of every codeword of every latent channel.

    Rows that pad a smaller codebook are infinite: no finite point is nearest to them, and `mean` refuses weight there.
    """

    table: Tensor

    def __init__(self, channels: int, codewords: int, k: int):
        super().__init__()
        self.register_buffer("table", torch.zeros(channels, codewords, k))

    @classmethod
    def of(
        cls,
        codec: Codec,
        kind: CoordinateKind = "principal",
        k: int = 4,
        counts: Int64[Tensor, "c K"] | None = None,
    ) -> "Coordinates":
        """Coordinates of a codec's codewords, centred and scaled so that a latent has mean 0 and variance 1.

        Mean and variance are those of codewords as often as `counts` says they occur (all equally often without it).
        Each channel is scaled by one number, the square root of its k coordinates' mean variance: with one number an
        axis, the nearest coordinates would no longer belong to the nearest codeword.

        Raises:
            SmaltiError: an unknown kind, or a k that the kind or the patch size does not allow.
        """
        if kind not in get_args(CoordinateKind):
            raise SmaltiError(f"'{kind}' are no coordinates; take one of {', '.join(get_args(CoordinateKind))}.")
        limit = 1 if kind == "rank" else codec.spec.dimension
        if not 1 <= k <= limit:
            raise SmaltiError(f"{k} coordinates a codeword: with '{kind}' and {codec.spec} take 1 to {limit}.")
        table = torch.full((*codec.codebooks.shape[:2], k), torch.inf)
        for channel, size in enumerate(codec.spec.codewords):
            codebook = codec.codebooks[channel, :size].cpu()
            rows = torch.arange(size)[:, None].float() if kind == "rank" else _distinct(codebook, k)
            weight = torch.ones(size) if counts is None else counts[channel, :size].cpu().float()
            weight = weight / weight.sum()
            rows = rows - weight @ rows
            variance = (weight @ rows.square()).mean()
            table[channel, :size] = rows / variance.sqrt() if variance > 0 else rows
        coordinates = cls(*table.shape)
        coordinates.table.copy_(table)
        return coordinates

    @property
    def channels(self) -> int:
        """Latent channels, c."""
        return self.table.shape[0]

    @property
    def codewords(self) -> int:
        """Codewords of the largest codebook, K."""
        return self.table.shape[1]

    @property
    def k(self) -> int:
        """Coordinates of a codeword."""
        return self.table.shape[2]

    @property
    def padding(self) -> Bool[Tensor, "c K"]:
        """Which rows pad a smaller codebook."""
        return (self.table == torch.inf).all(2)

    @property
    def sizes(self) -> Int64[Tensor, " c"]:
        """Codewords of each channel."""
        return self.table[..., 0].isfinite().sum(1)

    def embed(self, z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "B ck h w"]:
        """The coordinates of each index; channel c of z becomes the channels c k ... c k + k - 1."""
        channel = torch.arange(self.channels, device=z.device)[:, None, None]
        return self.table[channel, z].permute(0, 1, 4, 2, 3).flatten(1, 2)

    def snap(self, x: Float[Tensor, "B ck h w"]) -> Int64[Tensor, "B c h w"]:
        """The index whose coordinates are nearest, the lowest of equals; `snap(embed(z))` decodes as z does."""
        # Plain differences: with |a|^2 - 2ab + |b|^2 an embedded index could lose to a close neighbour by rounding.
        points = x.float().unflatten(1, (self.channels, self.k)).permute(1, 0, 3, 4, 2)
        return torch.stack([_nearest(point, rows) for point, rows in zip(points, self.table, strict=True)], dim=1)

    def mean(self, p: Float[Tensor, "B c K h w"]) -> Float[Tensor, "B ck h w"]:
        """The expected coordinates under distributions over the codewords."""
        table = torch.where(self.table.isfinite(), self.table, 0)
        return torch.einsum("bcnhw,cnk->bckhw", p, table).flatten(1, 2)

    def logits(self, out: Float[Tensor, "B *cK h w"]) -> Float[Tensor, "B c K h w"]:
        """An output of a network as logits over the codewords; those of padding are minus infinity."""
        logits = out.reshape(len(out), self.channels, self.codewords, *out.shape[-2:])
        padding = self.table[..., 0].isinf()[:, :, None, None]
        return logits.masked_fill(padding, -torch.inf) if padding.any() else logits

    def log_likelihood(self, x: Float[Tensor, "B ck h w"], alpha: Tensor, sigma: Tensor) -> Float[Tensor, "B c K h w"]:
        """The log of N(x; alpha e, sigma**2) for the coordinates e of every codeword, up to a constant of the place."""
        table = torch.where(self.table.isfinite(), self.table, 0)
        points = x.float().unflatten(1, (self.channels, self.k))
        products = torch.einsum("bckhw,cnk->bcnhw", points, table)
        squares = table.square().sum(2)[:, :, None, None]
        alpha, sigma = (value.reshape(-1, 1, 1, 1, 1) for value in (alpha, sigma))
        return (alpha * products - alpha.square() * squares / 2) / sigma.square()

    def bounds(self) -> tuple[Float[Tensor, "ck 1 1"], Float[Tensor, "ck 1 1"]]:
        """The smallest and the largest coordinate of any codeword on each axis."""
        padding = self.table.isinf()
        low = self.table.amin(1).flatten()
        high = self.table.masked_fill(padding, -torch.inf).amax(1).flatten()
        return low[:, None, None], high[:, None, None]


def _nearest(points: Float[Tensor, "B h w k"], rows: Float[Tensor, "K k"]) -> Int64[Tensor, "B h w"]:
    finite = rows[rows.isfinite().all(1)]
    distance = torch.cdist(points.flatten(0, 2), finite, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.argmin(1).unflatten(0, points.shape[:3])


def _distinct(codebook: Float[Tensor, "K n"], k: int) -> Float[Tensor, "K k"]:
    """Principal coordinates in which codewords that differ never coincide, so that snapping can tell them apart."""
    rows = principal_coordinates(codebook, k)
    step = 1e-4 * rows.abs().amax().clamp(min=1)
    seen: dict[tuple[float, ...], int] = {}
    for index, row in enumerate(rows):
        while (other := seen.setdefault(tuple(row.tolist()), index)) != index and not torch.equal(
            codebook[other], codebook[index]
        ):
            row[0] += step
    return rows
