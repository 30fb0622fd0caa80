import pytest
import torch

from smalti.training.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(8, 8), (8, 30), (30, 8)])
def test_it_takes_the_steps_of_torch(shape: tuple[int, int]) -> None:
    """Up to the rounding of bfloat16, which PyTorch's own always computes in."""
    torch.manual_seed(0)
    ours = [torch.randn(shape).requires_grad_() for _ in range(3)]
    theirs = [matrix.detach().clone().requires_grad_() for matrix in ours]
    begun = [matrix.detach().clone() for matrix in ours]
    stacked = Muon(ours, weight_decay=0.1)
    peer = torch.optim.Muon(theirs, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for group in (*stacked.param_groups, *peer.param_groups):
            group["lr"] = 0.02
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(shape)
            other.grad = mine.grad.clone()
        stacked.step()
        peer.step()
    for mine, other, start in zip(ours, theirs, begun, strict=True):
        assert (mine - other).norm() < 0.02 * (other - start).norm()


def test_a_matrix_is_turned_as_it_is_alone() -> None:
    matrices = torch.randn(4, 6, 10, generator=torch.Generator().manual_seed(0))
    for matrix, turned in zip(matrices, orthogonalized(matrices), strict=True):
        assert torch.allclose(orthogonalized(matrix[None])[0], turned, atol=0.02)
        assert torch.allclose(orthogonalized(matrix[None], torch.bfloat16)[0], turned, atol=0.02)
        singular = torch.linalg.svdvals(turned)
        assert singular.min() > 0.6
        assert singular.max() < 1.25
