"""Pseudo-ordinality: codewords sorted along their first principal component (paper section 3.2.1)."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def principal_coordinates(codebook: Float[Tensor, "K n"], k: int) -> Float[Tensor, "K k"]:
    """Coordinates of the codewords on the first k principal components of their codebook, largest variance first.

    The sign of a component is fixed so that a brighter codeword has the larger coordinate; where a component does not
    change the mean brightness, so that its largest entry is positive. Components past the n-th are zero.
    """
    centred = codebook.double() - codebook.double().mean(0)
    components = torch.linalg.svd(centred, full_matrices=False).Vh[:k]
    brightness = components.sum(1)
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))[:, 0]
    sign = torch.where(brightness.abs() > 1e-6 * components.shape[1] ** 0.5, brightness, largest).sign()
    coordinates = centred @ (components * sign[:, None]).T
    return torch.nn.functional.pad(coordinates, (0, k - coordinates.shape[1])).float()


def ordinal_order(codebook: Float[Tensor, "K n"]) -> Int64[Tensor, " K"]:
    """The permutation that sorts codewords along their first principal component; equal ones keep their order."""
    return principal_coordinates(codebook, 1)[:, 0].argsort(stable=True)
