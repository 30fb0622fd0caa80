"""Whether our torch encoder finds what faiss finds, on real patches and with faiss's own codebooks.

    python benchmarks/faiss_agreement.py KODAK

VQ and PQ: the share of equal codes, and how much worse the others are. RQ: mean squared error under the same beam.
"""

from pathlib import Path

import faiss
import numpy as np
import torch
import tyro

from _table import finish
from smalti import open_images
from smalti.codec import sample_patches, search_additive, search_product
from smalti.pixels import RGB

CODEWORDS = 256
PATCH = 8


def full_length(quantizer: faiss.ProductQuantizer) -> np.ndarray:
    """Codebooks (m, K, n), zero outside their sub-vector."""
    m, width = quantizer.M, quantizer.dsub
    books = np.zeros((m, CODEWORDS, m, width), dtype=np.float32)
    for stage, centroids in enumerate(faiss.vector_to_array(quantizer.centroids).reshape(m, CODEWORDS, width)):
        books[stage, :, stage] = centroids
    return books.reshape(m, CODEWORDS, m * width)


def squared_error(patches: np.ndarray, books: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Of each patch, in float64."""
    decoded = sum(book[codes[:, stage]].astype(np.float64) for stage, book in enumerate(books))
    return np.square(patches - decoded).sum(1)


def faiss_agreement(kodak: Path, /, *, patches: int = 100_000, seed: int = 0) -> None:
    """Compare on the luma of `patches` patches of 8x8."""
    sample, _ = sample_patches(open_images(kodak), RGB, PATCH, patches, seed)
    luma = np.ascontiguousarray(RGB.to_planes(RGB.levels(sample[None]))[0, 0].numpy())
    rows = []

    x = torch.from_numpy(luma)

    def compare(name: str, books: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> None:
        our_error, their_error = squared_error(luma, books, ours), squared_error(luma, books, theirs)
        differ = (ours != theirs).any(1)
        excess = np.abs(our_error - their_error)[differ] / np.square(luma).sum(1)[differ]
        largest = f"{excess.max(initial=0):.1e}"
        rows.append([name, int(differ.sum()), largest, f"{our_error.mean():.4f}", f"{their_error.mean():.4f}"])

    for name, m in (("VQ-8", 1), ("PQ-32", 4)):
        product = faiss.ProductQuantizer(luma.shape[1], m, 8)
        product.train(luma)
        books = full_length(product)
        ours = search_product(x, torch.from_numpy(books), torch.eye(luma.shape[1]))
        compare(name, books, product.compute_codes(luma).astype(np.int64), ours.numpy())
    for beam in (1, 8, 32):
        residual = faiss.ResidualQuantizer(luma.shape[1], 4, 8)
        residual.max_beam_size = beam
        residual.train(luma)
        books = faiss.vector_to_array(residual.codebooks).reshape(4, CODEWORDS, -1)
        ours = search_additive(x, torch.from_numpy(books), beam)
        compare(f"RQ-32, beam {beam}", books, residual.compute_codes(luma).astype(np.int64), ours.numpy())
    headers = ["codec", "patches coded otherwise", "largest relative difference there", "our squared error", "faiss's"]
    finish("faiss_agreement", headers, rows, patches=len(luma), seed=seed)


if __name__ == "__main__":
    tyro.cli(faiss_agreement)
