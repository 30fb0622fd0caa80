import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from smalti.codec.quantizers import fit_codebooks
from smalti.codec.search import search_additive, search_product

STAGES, BITS, DIMENSION = 4, 5, 16


def _error(patches: np.ndarray, codebooks: np.ndarray, codes: np.ndarray) -> float:
    decoded = sum(codebook[codes[:, j]].astype(np.float64) for j, codebook in enumerate(codebooks))
    return float(np.square(patches - decoded).sum(1).mean())


def test_codebooks_have_full_length_and_pq_keeps_to_its_sub_vectors(patches: torch.Tensor) -> None:
    books, _ = fit_codebooks(patches.numpy(), "PQ", STAGES, BITS, 8, 0)
    assert books.shape == (STAGES, 2**BITS, DIMENSION)
    for stage, book in enumerate(books):
        outside = np.ones(DIMENSION, dtype=bool)
        outside[stage * 4 : stage * 4 + 4] = False
        assert not book[:, outside].any()
        assert book[:, ~outside].any()


def test_codebooks_of_opq_are_orthogonal_to_each_other(patches: torch.Tensor) -> None:
    books, rotation = fit_codebooks(patches.numpy(), "OPQ", STAGES, BITS, 8, 0)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(DIMENSION), atol=1e-5)
    scale = np.square(books).sum(2).max()
    for i in range(STAGES):
        for j in range(i):
            assert np.abs(books[i] @ books[j].T).max() < 1e-4 * scale


def test_better_quantizers_leave_less_error(patches: torch.Tensor) -> None:
    errors = {}
    for name in ("PQ", "OPQ", "RQ", "LSQ"):
        books, rotation = fit_codebooks(patches.numpy(), name, STAGES, BITS, 8, 0)
        x, c = patches, torch.from_numpy(books)
        codes = search_additive(x, c, 8) if name in ("RQ", "LSQ") else search_product(x, c, torch.from_numpy(rotation))
        errors[name] = _error(patches.numpy(), books, codes.numpy())
    assert errors["OPQ"] < errors["PQ"]
    assert errors["RQ"] < errors["OPQ"]
    assert errors["LSQ"] < errors["RQ"]


@pytest.mark.parametrize("name", ["VQ", "PQ", "OPQ", "RQ", "LSQ"])
def test_the_number_of_threads_does_not_change_the_codebooks(patches: torch.Tensor, name: str) -> None:
    stages = 1 if name == "VQ" else 2
    with threadpool_limits(limits=1):
        one, _ = fit_codebooks(patches[:2000].numpy(), name, stages, BITS, 4, 3)
    two, _ = fit_codebooks(patches[:2000].numpy(), name, stages, BITS, 4, 3)
    np.testing.assert_array_equal(one, two)


def test_another_seed_gives_other_codebooks(patches: torch.Tensor) -> None:
    one, other = (fit_codebooks(patches.numpy(), "VQ", 1, BITS, 8, seed)[0] for seed in (0, 1))
    assert not np.array_equal(one, other)
