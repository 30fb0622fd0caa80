import pytest
import torch
from torch.nn.functional import cross_entropy

from smalti.diffusion.draws import surprise


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("at_a_time", [1, 50, 2**19], ids=["a row", "some rows", "all"])
@pytest.mark.parametrize("stored", ["codewords last", "as they are named"])
def test_surprise_is_the_cross_entropy_and_so_is_its_gradient(
    dtype: torch.dtype, at_a_time: int, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.diffusion.draws._ELEMENTS_AT_A_TIME", at_a_time)
    random = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3, 2, 7, 4, 5, generator=random)
    logits[:, 1, 5:] = -torch.inf  # padding
    if stored == "codewords last":
        logits = logits.permute(1, 0, 3, 4, 2).contiguous().permute(1, 0, 4, 2, 3)
    z = torch.randint(5, (3, 2, 4, 5), generator=random)
    weight = torch.rand(3, 2, 4, 5, generator=random)
    ours, theirs = (logits.to(dtype).requires_grad_() for _ in range(2))
    found = surprise(ours, z)
    asked = cross_entropy(theirs.float().movedim(2, 1), z, reduction="none")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, asked)
    (found * weight).sum().backward()
    (asked * weight).sum().backward()
    assert ours.grad is not None
    assert ours.grad.dtype == dtype
    torch.testing.assert_close(ours.grad, theirs.grad)
