import faiss
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from smalti.codec.additive import search_additive
from smalti.codec.quantizers import fit_codebooks, search_product

STAGES, BITS, DIMENSION = 4, 5, 16


@pytest.fixture(scope="module")
def patches(photo: torch.Tensor) -> np.ndarray:
    grey = photo.float().mean(0)[:296, :448] - 128
    return np.ascontiguousarray(grey.reshape(74, 4, 112, 4).permute(0, 2, 1, 3).reshape(-1, DIMENSION).numpy())


def _error(patches: np.ndarray, codebooks: np.ndarray, codes: np.ndarray) -> float:
    decoded = sum(codebook[codes[:, j]].astype(np.float64) for j, codebook in enumerate(codebooks))
    return float(np.square(patches - decoded).sum(1).mean())


def test_codebooks_have_full_length_and_pq_keeps_to_its_sub_vectors(patches: np.ndarray) -> None:
    books, _ = fit_codebooks(patches, "PQ", STAGES, BITS, 8, 0)
    assert books.shape == (STAGES, 2**BITS, DIMENSION)
    for stage, book in enumerate(books):
        outside = np.ones(DIMENSION, dtype=bool)
        outside[stage * 4 : stage * 4 + 4] = False
        assert not book[:, outside].any()
        assert book[:, ~outside].any()


def test_codebooks_of_opq_are_orthogonal_to_each_other(patches: np.ndarray) -> None:
    books, rotation = fit_codebooks(patches, "OPQ", STAGES, BITS, 8, 0)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(DIMENSION), atol=1e-5)
    scale = np.square(books).sum(2).max()
    for i in range(STAGES):
        for j in range(i):
            assert np.abs(books[i] @ books[j].T).max() < 1e-4 * scale


def test_better_quantizers_leave_less_error(patches: np.ndarray) -> None:
    errors = {}
    for name in ("PQ", "OPQ", "RQ", "LSQ"):
        books, rotation = fit_codebooks(patches, name, STAGES, BITS, 8, 0)
        x, c = torch.from_numpy(patches), torch.from_numpy(books)
        codes = search_additive(x, c, 8) if name in ("RQ", "LSQ") else search_product(x, c, torch.from_numpy(rotation))
        errors[name] = _error(patches, books, codes.numpy())
    assert errors["OPQ"] < errors["PQ"]
    assert errors["RQ"] < errors["OPQ"]
    assert errors["LSQ"] < errors["RQ"]


@pytest.mark.parametrize("name", ["VQ", "PQ", "OPQ", "RQ", "LSQ"])
def test_the_number_of_threads_does_not_change_the_codebooks(patches: np.ndarray, name: str) -> None:
    stages = 1 if name == "VQ" else 2
    with threadpool_limits(limits=1):
        one, _ = fit_codebooks(patches[:2000], name, stages, BITS, 4, 3)
    two, _ = fit_codebooks(patches[:2000], name, stages, BITS, 4, 3)
    np.testing.assert_array_equal(one, two)


def test_another_seed_gives_other_codebooks(patches: np.ndarray) -> None:
    one, other = (fit_codebooks(patches, "VQ", 1, BITS, 8, seed)[0] for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_search_under_a_rotation_finds_the_nearest_sum_of_codewords(patches: np.ndarray) -> None:
    books, rotation = map(torch.from_numpy, fit_codebooks(patches, "OPQ", 2, 4, 8, 0))
    x = torch.from_numpy(patches[::50])
    every = torch.cartesian_prod(torch.arange(16), torch.arange(16))
    nearest = torch.cdist(x, books[0][every[:, 0]] + books[1][every[:, 1]]).argmin(1)
    assert (search_product(x, books, rotation) == every[nearest]).all(1).float().mean() > 0.995


@pytest.mark.parametrize("stages", [1, STAGES])
def test_search_finds_the_nearest_codewords_as_faiss_does(patches: np.ndarray, stages: int) -> None:
    quantizer = faiss.ProductQuantizer(DIMENSION, stages, 8)
    quantizer.train(patches)
    books = np.zeros((stages, 256, stages, DIMENSION // stages), dtype=np.float32)
    centroids = faiss.vector_to_array(quantizer.centroids).reshape(stages, 256, -1)
    for stage in range(stages):
        books[stage, :, stage] = centroids[stage]
    books = books.reshape(stages, 256, DIMENSION)
    theirs = quantizer.compute_codes(patches)
    ours = search_product(torch.from_numpy(patches), torch.from_numpy(books), torch.eye(DIMENSION)).numpy()
    # Ties aside: where they differ, both are as near to float32 precision.
    for stage in range(stages):
        book = books[stage].astype(np.float64)
        a = np.square(patches - book[ours[:, stage]]).sum(1)
        b = np.square(patches - book[theirs[:, stage]]).sum(1)
        scale = np.square(patches).sum(1) + np.square(book).sum(1).max()
        assert (np.abs(a - b) <= 1e-5 * scale).all()
    assert (ours == theirs).mean() > 0.999
