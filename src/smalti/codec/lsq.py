"""LSQ: codebooks that are all free at once, begun from those of RQ and made better by turns."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.codec.search import CHUNK_ELEMENTS, SumsOfWords, search_additive
from smalti.random import keyed_generator

_ROUNDS = 10
_SHAKES = 2  # attempts a round to find better codes
_RIDGE = 0.5  # patches' worth of pull towards the codeword as it was; rare codewords would otherwise run away


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
    chunks = zip(patches.split(CHUNK_ELEMENTS // k), shaken.split(CHUNK_ELEMENTS // k), strict=True)
    words = SumsOfWords(codebooks)
    swept = torch.cat([words.sweep(chunk, begun) for chunk, begun in chunks])
    better = _error(patches, codebooks, swept) < _error(patches, codebooks, codes)
    return torch.where(better[:, None], swept, codes)


def _error(
    patches: Float[Tensor, "N n"], codebooks: Float[Tensor, "m K n"], codes: Int64[Tensor, "N m"]
) -> Float[Tensor, " N"]:
    return (patches - sum(codebook[codes[:, j]] for j, codebook in enumerate(codebooks))).square().sum(1)


def _together(a: Int64[Tensor, " N"], b: Int64[Tensor, " N"], k: int) -> Float[Tensor, "K K"]:
    """How often index a and index b are chosen for one patch."""
    return torch.bincount(a * k + b, minlength=k * k).reshape(k, k).double()
