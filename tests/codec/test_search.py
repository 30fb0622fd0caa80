import faiss
import numpy as np
import pytest
import torch

from smalti.codec.quantizers import fit_codebooks
from smalti.codec.search import _smallest, search_additive, search_product

STAGES, BITS, DIMENSION = 4, 5, 16


def _error(patches: torch.Tensor, codebooks: torch.Tensor, codes: torch.Tensor) -> float:
    decoded = sum(codebook[codes[:, j]].double() for j, codebook in enumerate(codebooks))
    return float((patches - decoded).square().sum(1).mean())


@pytest.mark.parametrize("beam", [1, 4, 16])
def test_beam_search_is_no_worse_than_that_of_faiss(patches: torch.Tensor, beam: int) -> None:
    quantizer = faiss.ResidualQuantizer(DIMENSION, STAGES, BITS)
    quantizer.max_beam_size = beam
    quantizer.train(patches.numpy())
    books = faiss.vector_to_array(quantizer.codebooks).reshape(STAGES, 2**BITS, DIMENSION)
    packed = quantizer.compute_codes(patches.numpy())
    theirs = float(np.square(patches.numpy() - quantizer.decode(packed)).sum(1).mean())
    ours = _error(patches, torch.from_numpy(books), search_additive(patches, torch.from_numpy(books), beam))
    assert ours <= theirs


def test_a_wider_beam_comes_closer_to_the_best_code_there_is() -> None:
    torch.manual_seed(0)
    books, x = torch.randn(3, 6, 4), torch.randn(50, 4)
    every = torch.cartesian_prod(*[torch.arange(6)] * 3)
    sums = sum(books[j][every[:, j]] for j in range(3))
    best = torch.cdist(x, sums).square().amin(1)

    def error(beam: int) -> torch.Tensor:
        codes = search_additive(x, books, beam)
        return (x - sum(books[j][codes[:, j]] for j in range(3))).square().sum(1)

    torch.testing.assert_close(error(36), best, atol=1e-4, rtol=1e-4)
    assert error(1).mean() > error(6).mean() > best.mean() - 1e-4


def test_search_under_a_rotation_finds_the_nearest_sum_of_codewords(patches: torch.Tensor) -> None:
    books, rotation = map(torch.from_numpy, fit_codebooks(patches.numpy(), "OPQ", 2, 4, 8, 0))
    x = patches[::50]
    every = torch.cartesian_prod(torch.arange(16), torch.arange(16))
    nearest = torch.cdist(x, books[0][every[:, 0]] + books[1][every[:, 1]]).argmin(1)
    assert (search_product(x, books, rotation) == every[nearest]).all(1).float().mean() > 0.995


@pytest.mark.parametrize("stages", [1, STAGES])
def test_search_finds_the_nearest_codewords_as_faiss_does(patches: torch.Tensor, stages: int) -> None:
    quantizer = faiss.ProductQuantizer(DIMENSION, stages, 8)
    quantizer.train(patches.numpy())
    books = np.zeros((stages, 256, stages, DIMENSION // stages), dtype=np.float32)
    centroids = faiss.vector_to_array(quantizer.centroids).reshape(stages, 256, -1)
    for stage in range(stages):
        books[stage, :, stage] = centroids[stage]
    books = books.reshape(stages, 256, DIMENSION)
    theirs = quantizer.compute_codes(patches.numpy())
    ours = search_product(patches, torch.from_numpy(books), torch.eye(DIMENSION)).numpy()
    # Ties aside: where they differ, both are as near to float32 precision.
    for stage in range(stages):
        book = books[stage].astype(np.float64)
        a = np.square(patches.numpy() - book[ours[:, stage]]).sum(1)
        b = np.square(patches.numpy() - book[theirs[:, stage]]).sum(1)
        scale = np.square(patches.numpy()).sum(1) + np.square(book).sum(1).max()
        assert (np.abs(a - b) <= 1e-5 * scale).all()
    assert (ours == theirs).mean() > 0.999


@pytest.mark.parametrize(("length", "count"), [(16, 3), (320, 1), (320, 8), (320, 40), (5, 8)])
def test_the_smallest_are_those_that_sorting_finds(length: int, count: int) -> None:
    values = torch.randn(50, length, generator=torch.Generator().manual_seed(length))
    before = values.clone()
    smallest, places = _smallest(values, count)
    assert torch.equal(smallest.sort(1).values, values.sort(1).values[:, :count])
    assert torch.equal(values.gather(1, places), smallest)
    assert torch.equal(values, before)


def test_large_codebooks_are_searched_without_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    books, x = torch.randn(3, 32, 8), torch.randn(200, 8)
    with_tables = search_additive(x, books, 4)
    monkeypatch.setattr("smalti.codec.search._MOST_TABLE", 0)
    assert (search_additive(x, books, 4) == with_tables).all(1).float().mean() > 0.99
