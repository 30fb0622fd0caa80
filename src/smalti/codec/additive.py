"""Additive codebooks that are not orthogonal to each other (RQ, LSQ): finding codes, and refining the codebooks."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.random import keyed_generator

# Distances of one chunk of patches stay in the processor's cache.
_CHUNK_ELEMENTS = 2**21
_ROUNDS = 10
_SHAKES = 2  # attempts a round to find better codes
_RIDGE = 0.5  # patches' worth of pull towards the codeword as it was; rare codewords would otherwise run away


def search_additive(
    patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], beam: int
) -> Int64[Tensor, "N m"]:
    """Codes z that make ||x - sum_j C_j[z_j]||**2 small for every patch x: RQ, LSQ.

    A beam search goes through the codebooks in order; then one sweep chooses each index again with the others held (a
    round of iterated conditional modes), which can only lower the distance.
    """
    k = codebooks.shape[1]
    codes = [
        _sweep(chunk, codebooks, _beam_search(chunk, codebooks, beam))
        for chunk in patches.split(max(1, _CHUNK_ELEMENTS // (k * beam)))
    ]
    return torch.cat(codes)


def refine_codebooks(
    patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], beam: int, seed: int
) -> Float[Tensor, "m K n"]:
    """Lower the error of additive codebooks by turns: better codes for the codebooks, then the best codebooks for them.

    Codes are shaken (one index of each patch made random) and swept; what has become better is kept (Martinez et al.
    2018). Codebooks follow from the codes as least squares, with a slight pull to where they were.
    """
    m, k, n = codebooks.shape
    codes = search_additive(patches, codebooks, beam)
    random = keyed_generator(seed, "lsq")
    for _ in range(_ROUNDS):
        for _ in range(_SHAKES):
            codes = _improve(patches, codebooks, codes, random)
        counts = torch.stack(
            [torch.stack([_together(codes[:, i], codes[:, j], k) for j in range(m)]) for i in range(m)]
        )
        gram = counts.permute(0, 2, 1, 3).reshape(m * k, m * k) + _RIDGE * torch.eye(m * k, dtype=torch.float64)
        sums = torch.stack([torch.zeros(k, n).index_add_(0, codes[:, j], patches) for j in range(m)])
        target = (sums + _RIDGE * codebooks).reshape(m * k, n).double()
        codebooks = torch.linalg.solve(gram, target).float().reshape(m, k, n)
    return codebooks


def _improve(
    patches: Float[Tensor, "N n"],
    codebooks: Float[Tensor, "m K n"],
    codes: Int64[Tensor, "N m"],
    random: np.random.Generator,
) -> Int64[Tensor, "N m"]:
    m, k, _ = codebooks.shape
    shaken = codes.clone()
    rows = torch.arange(len(codes))
    shaken[rows, torch.from_numpy(random.integers(m, size=len(codes)))] = torch.from_numpy(
        random.integers(k, size=len(codes))
    )
    chunks = zip(patches.split(_CHUNK_ELEMENTS // k), shaken.split(_CHUNK_ELEMENTS // k), strict=True)
    swept = torch.cat([_sweep(chunk, codebooks, begun) for chunk, begun in chunks])
    better = _error(patches, codebooks, swept) < _error(patches, codebooks, codes)
    return torch.where(better[:, None], swept, codes)


def _error(
    patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], codes: Int64[Tensor, "N m"]
) -> Float[Tensor, " N"]:
    return (patches - sum(codebook[codes[:, j]] for j, codebook in enumerate(codebooks))).square().sum(1)


def _together(a: Int64[Tensor, " N"], b: Int64[Tensor, " N"], k: int) -> Float[Tensor, "K K"]:
    """How often index a and index b are chosen for one patch."""
    return torch.bincount(a * k + b, minlength=k * k).reshape(k, k).double()


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


def _sweep(
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
