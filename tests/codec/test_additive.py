import faiss
import numpy as np
import pytest
import torch

from smalti.codec.additive import refine_codebooks, search_additive

STAGES, BITS, DIMENSION = 4, 5, 16


@pytest.fixture(scope="module")
def patches(photo: torch.Tensor) -> torch.Tensor:
    grey = photo.float().mean(0)[:296, :448] - 128
    return grey.reshape(74, 4, 112, 4).permute(0, 2, 1, 3).reshape(-1, DIMENSION).contiguous()


@pytest.fixture(scope="module")
def residual(patches: torch.Tensor) -> torch.Tensor:
    quantizer = faiss.ResidualQuantizer(DIMENSION, STAGES, BITS)
    quantizer.train(patches.numpy())
    return torch.from_numpy(faiss.vector_to_array(quantizer.codebooks).reshape(STAGES, 2**BITS, DIMENSION))


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


def test_refined_codebooks_leave_less_error(patches: torch.Tensor, residual: torch.Tensor) -> None:
    refined = refine_codebooks(patches, residual, 4, 0)
    before = _error(patches, residual, search_additive(patches, residual, 4))
    after = _error(patches, refined, search_additive(patches, refined, 4))
    assert after < 0.97 * before


def test_refining_finds_codebooks_that_explain_everything() -> None:
    torch.manual_seed(1)
    books = torch.randn(2, 4, 8) * torch.tensor([10.0, 1.0])[:, None, None]
    codes = torch.randint(0, 4, (400, 2))
    x = books[0][codes[:, 0]] + books[1][codes[:, 1]]
    refined = refine_codebooks(x, books + 0.2 * torch.randn_like(books), 8, 0)
    assert _error(x, refined, search_additive(x, refined, 8)) < 1e-3


def test_a_codeword_that_is_never_chosen_stays(patches: torch.Tensor, residual: torch.Tensor) -> None:
    far = residual.clone()
    far[0, 3] = 1e4
    assert torch.allclose(refine_codebooks(patches[:500], far, 2, 0)[0, 3], far[0, 3])
