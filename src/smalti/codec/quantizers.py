"""Fitting codebooks with faiss.

Every quantizer ends as additive codebooks: a patch x of one plane is approximated by sum_j C_j[z_j] with full-length
codewords C_j of shape (K, n). For PQ they are zero outside their sub-vector, for OPQ those are turned back by the
rotation, so decoding and searching need not know which quantizer made them.
"""

from collections.abc import Callable

import faiss
import numpy as np
import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from smalti.codec.lsq import refine_codebooks
from smalti.codec.spec import Quantizer

Tables = tuple[np.ndarray, np.ndarray]
FitFunction = Callable[[np.ndarray, int, int, int, int], Tables]


def fit_codebooks(
    patches: Float[np.ndarray, "N n"], quantizer: Quantizer, stages: int, index_bits: int, beam: int, seed: int
) -> tuple[Float[np.ndarray, "m K n"], Float[np.ndarray, "n n"]]:
    """Fit the `stages` codebooks of one plane, K = 2**index_bits codewords each, to minimise squared error.

    With them comes the rotation R that turns codebook j of a product quantizer into the j-th slice of the coordinates;
    it is the identity for all but OPQ.

    faiss runs on one thread here: its rotations and sums would otherwise depend on the number of threads. So the same
    patches and seed give the same codebooks with any number of processors, on one build of faiss and one kind of them.
    """
    # User API covers OpenMP and BLAS alike, in faiss and in numpy.
    with threadpool_limits(limits=1):
        return _FIT[quantizer](np.ascontiguousarray(patches, dtype=np.float32), stages, index_bits, beam, seed % 2**31)


def _fit_product(patches: np.ndarray, stages: int, index_bits: int, beam: int, seed: int) -> Tables:
    """VQ (one stage) and PQ: k-means on each sub-vector (Jegou et al. 2010)."""
    del beam
    return _full_length(_product_quantizer(patches, stages, index_bits, seed)), _identity(patches)


def _fit_rotated_product(patches: np.ndarray, stages: int, index_bits: int, beam: int, seed: int) -> Tables:
    """OPQ: PQ after a learned rotation R (Ge et al. 2014); the codewords are turned back by R^T."""
    if stages == 1:
        return _fit_product(patches, stages, index_bits, beam, seed)
    dimension = patches.shape[1]
    trainer = faiss.ProductQuantizer(dimension, stages, index_bits)
    trainer.cp.seed = seed
    trainer.cp.min_points_per_centroid = 1
    rotation = faiss.OPQMatrix(dimension, stages)
    rotation.pq = trainer
    rotation.train(patches)
    matrix = faiss.vector_to_array(rotation.A).reshape(dimension, dimension)
    return _full_length(_product_quantizer(rotation.apply(patches), stages, index_bits, seed)) @ matrix, matrix


def _fit_residual(patches: np.ndarray, stages: int, index_bits: int, beam: int, seed: int) -> Tables:
    """RQ: each codebook codes what the ones before left over (Chen et al. 2010)."""
    quantizer = faiss.ResidualQuantizer(patches.shape[1], stages, index_bits)
    quantizer.cp.seed = seed
    quantizer.cp.min_points_per_centroid = 1
    quantizer.max_beam_size = beam
    quantizer.train(patches)
    return faiss.vector_to_array(quantizer.codebooks).reshape(stages, 2**index_bits, -1), _identity(patches)


def _fit_additive(patches: np.ndarray, stages: int, index_bits: int, beam: int, seed: int) -> Tables:
    """LSQ: codebooks that are all free at once (Babenko and Lempitsky 2014, Martinez et al. 2018), begun from RQ's."""
    residual, _ = _fit_residual(patches, stages, index_bits, beam, seed)
    refined = refine_codebooks(torch.from_numpy(patches), torch.from_numpy(residual), beam, seed)
    return refined.numpy(), _identity(patches)


_FIT: dict[Quantizer, FitFunction] = {
    "VQ": _fit_product,
    "PQ": _fit_product,
    "OPQ": _fit_rotated_product,
    "RQ": _fit_residual,
    "LSQ": _fit_additive,
}


def _identity(patches: np.ndarray) -> np.ndarray:
    return np.eye(patches.shape[1], dtype=np.float32)


def _product_quantizer(patches: np.ndarray, stages: int, index_bits: int, seed: int) -> faiss.ProductQuantizer:
    quantizer = faiss.ProductQuantizer(patches.shape[1], stages, index_bits)
    quantizer.cp.seed = seed
    quantizer.cp.min_points_per_centroid = 1
    quantizer.cp.max_points_per_centroid = len(patches)  # no subsampling: `Codec.fit` has sampled already
    quantizer.train(patches)
    return quantizer


def _full_length(quantizer: faiss.ProductQuantizer) -> np.ndarray:
    """Codebooks (m, K, n) of a product quantizer, each zero outside its own sub-vector."""
    stages, codewords, width = quantizer.M, quantizer.ksub, quantizer.dsub
    centroids = faiss.vector_to_array(quantizer.centroids).reshape(stages, codewords, width)
    full = np.zeros((stages, codewords, stages, width), dtype=np.float32)
    full[np.arange(stages), :, np.arange(stages)] = centroids
    return full.reshape(stages, codewords, stages * width)
