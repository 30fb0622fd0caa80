import faiss
import pytest
import torch

from smalti.codec.lsq import refine_codebooks
from smalti.codec.search import search_additive

STAGES, BITS, DIMENSION = 4, 5, 16


@pytest.fixture(scope="module")
def residual(patches: torch.Tensor) -> torch.Tensor:
    quantizer = faiss.ResidualQuantizer(DIMENSION, STAGES, BITS)
    quantizer.train(patches.numpy())
    return torch.from_numpy(faiss.vector_to_array(quantizer.codebooks).reshape(STAGES, 2**BITS, DIMENSION))


def _error(patches: torch.Tensor, codebooks: torch.Tensor, codes: torch.Tensor) -> float:
    decoded = sum(codebook[codes[:, j]].double() for j, codebook in enumerate(codebooks))
    return float((patches - decoded).square().sum(1).mean())


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
