"""Finding the codes of patches: exactly where codebooks are orthogonal, by a beam where they are not."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.codec.spec import Quantizer

CHUNK_ELEMENTS = 2**21
"""Distances of one chunk of patches stay in the processor's cache."""


def search(
    quantizer: Quantizer,
    patches: Float[Tensor, "C N n"],
    codebooks: list[Float[Tensor, "_ _ n"]],
    rotations: Float[Tensor, "C n n"],
    beam: int,
) -> Int64[Tensor, "N c"]:
    """The codes of patches, those of all planes side by side; `codebooks` are those of each plane."""
    if quantizer in ("RQ", "LSQ"):
        codes = [search_additive(*pair, beam) for pair in zip(patches, codebooks, strict=True)]
    else:
        codes = [search_product(*each) for each in zip(patches, codebooks, rotations, strict=True)]
    return torch.cat(codes, dim=1)


def search_product(
    patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], rotation: Float[Tensor, "n n"]
) -> Int64[Tensor, "N m"]:
    """The nearest codeword in every sub-vector: VQ, PQ, OPQ.

    Codebooks of these are orthogonal to each other, so ||x - sum_j C_j[z_j]||**2 is, but for a constant, the sum over j
    of ||c||**2 - 2 x.c with c = C_j[z_j], and each index is chosen alone. Turned by `rotation`, C_j lies in the j-th of
    m equal slices of the coordinates, and the products are taken there.
    """
    m, k, n = codebooks.shape
    turned = (codebooks @ rotation.T).reshape(m, k, m, n // m)
    slices = torch.stack([turned[j, :, j] for j in range(m)])
    norms = slices.square().sum(2)[:, None]
    codes = []
    for chunk in patches.split(max(1, CHUNK_ELEMENTS // (m * k))):
        parts = (chunk @ rotation.T).reshape(-1, m, n // m).transpose(0, 1)
        codes.append(torch.baddbmm(norms, parts, slices.transpose(1, 2), alpha=-2).argmin(2).T)
    return torch.cat(codes)


def search_additive(
    patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], beam: int
) -> Int64[Tensor, "N m"]:
    """Codes z that make ||x - sum_j C_j[z_j]||**2 small for every patch x: RQ, LSQ.

    A beam search goes through the codebooks in order; then one sweep chooses each index again with the others held (a
    round of iterated conditional modes), which can only lower the distance.
    """
    k = codebooks.shape[1]
    codes = [
        sweep(chunk, codebooks, _beam_search(chunk, codebooks, beam))
        for chunk in patches.split(max(1, CHUNK_ELEMENTS // (k * beam)))
    ]
    return torch.cat(codes)


def _beam_search(patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], beam: int) -> Int64[Tensor, "N m"]:
    """Keep the `beam` best codes of the first j codebooks while going to j + 1; return the best at the end."""
    k = codebooks.shape[1]
    codes = torch.empty(len(patches), 1, 0, dtype=torch.int64, device=patches.device)
    left, distance = patches[:, None], patches.new_zeros(len(patches), 1)
    for codebook in codebooks:
        # ||left - c||**2 less ||left||**2, which `distance` holds up to a constant of the patch
        step = distance[..., None] + _distances(left, codebook)
        distance, best = step.flatten(1).topk(min(beam, step[0].numel()), largest=False)
        parent, index = (best // k)[..., None], best % k
        codes = torch.cat([codes.gather(1, parent.expand(-1, -1, codes.shape[2])), index[..., None]], dim=2)
        left = left.gather(1, parent.expand(-1, -1, left.shape[2])) - codebook[index]
    return codes[:, 0]  # topk sorts: the first is the best


def sweep(
    patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], codes: Int64[Tensor, "N m"]
) -> Int64[Tensor, "N m"]:
    """Choose each index again, given all the others."""
    left = patches - sum(codebook[codes[:, j]] for j, codebook in enumerate(codebooks))
    for j, codebook in enumerate(codebooks):
        without = left + codebook[codes[:, j]]
        codes[:, j] = _distances(without, codebook).argmin(1)
        left = without - codebook[codes[:, j]]
    return codes


def _distances(points: Float[Tensor, "*N n"], codebook: Float[Tensor, "K n"]) -> Float[Tensor, "*N K"]:
    """||x - c||**2 - ||x||**2 for every point and codeword."""
    flat = points.reshape(-1, points.shape[-1])
    products = torch.addmm(codebook.square().sum(1), flat, codebook.T, alpha=-2)
    return products.reshape(*points.shape[:-1], -1)
