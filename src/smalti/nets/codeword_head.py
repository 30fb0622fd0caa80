"""The last layer of a network that tells how likely codewords are, and knows what each of them looks like."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor, nn


class CodewordHead(nn.Module):
    """Logits h . phi_k + b_k: what the network says of a place, against what is known of each codeword.

    A codeword's features phi_k begin as functions of its coordinates and are learned from there on: the coordinates,
    their products in pairs, and random waves. With the first two the head can say any Gaussian of the coordinates, with
    the waves any distribution of some smoothness, so that what is learned of one codeword holds for those near to it.
    A row of weights for each codeword would have to be learned row by row. (CDCD, 2211.15089, ties its embeddings too.)
    """

    def __init__(self, codebooks: int, codewords: int, features: int):
        super().__init__()
        self.phi = nn.Parameter(torch.zeros(codebooks, codewords, features))
        self.bias = nn.Parameter(torch.zeros(codebooks, codewords))

    @property
    def in_channels(self) -> int:
        """Channels of what it reads: features of every codebook."""
        return self.phi.shape[0] * self.phi.shape[2]

    @torch.no_grad()
    def begin(self, coordinates: Float[Tensor, "c K k"]) -> None:
        """Let the features be those of such coordinates; rows that are not finite stand for no codeword, and get 0."""
        for phi, rows in zip(self.phi, coordinates, strict=True):
            used = rows.isfinite().all(1)
            points = _standard(rows[used])
            pairs = torch.combinations(torch.arange(points.shape[1]), with_replacement=True).T
            known = torch.cat([points, _standard(points[:, pairs[0]] * points[:, pairs[1]])], 1)[:, : phi.shape[1]]
            waves = phi.shape[1] - known.shape[1]
            frequency, phase = torch.randn(points.shape[1], waves), 2 * pi * torch.rand(waves)
            phi[used] = torch.cat([known, 2**0.5 * (points @ frequency + phase).cos()], 1).to(phi)

    def forward(self, hidden: Float[Tensor, "B cd h w"]) -> Float[Tensor, "B c K h w"]:
        """The logits of all codewords of all codebooks."""
        codebooks, _, features = self.phi.shape
        places = hidden.unflatten(1, (codebooks, features)).permute(1, 0, 3, 4, 2).flatten(1, 3)
        logits = torch.baddbmm(self.bias[:, None], places, self.phi.mT)
        return logits.unflatten(1, (len(hidden), *hidden.shape[2:])).permute(1, 0, 4, 2, 3)


def _standard(columns: Float[Tensor, "K n"]) -> Float[Tensor, "K n"]:
    """Columns of mean 0 and variance 1; those that do not vary are left at 0."""
    centred = columns - columns.mean(0)
    return centred / centred.square().mean(0).sqrt().clamp(min=1e-3)
