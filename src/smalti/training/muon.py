"""Muon, for many small matrices: those of one shape are turned together."""

import torch
from jaxtyping import Float
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of Jordan et al. 2024: steep at 0, so that five steps are enough
_STEPS = 5
_MOMENTUM = 0.95
_ADAMW_SIZE = 0.2  # root mean square of AdamW's steps (Liu et al. 2025)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) as `torch.optim.Muon` has it with "match_rms_adamw", about twice as fast on a CPU.

    A network of a few million weights has some eighty matrices, of few shapes. A product of small ones costs more to
    begin than to do.
    """

    def __init__(
        self, matrices: list[Float[Tensor, "rows columns"]], weight_decay: float, dtype: torch.dtype = torch.float32
    ):
        shapes = dict.fromkeys(matrix.shape for matrix in matrices)
        groups = [{"params": [matrix for matrix in matrices if matrix.shape == shape]} for shape in shapes]
        super().__init__(groups, {"lr": 0.0, "weight_decay": weight_decay})
        self._dtype = dtype  # that matrices are turned in

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Change the matrices, all of which have gradients, by them."""
        for group in self.param_groups:
            matrices, rate = group["params"], group["lr"]
            gradients = torch.stack([matrix.grad for matrix in matrices])
            state = self.state[matrices[0]]
            if not state:
                state["momentum"] = torch.zeros_like(gradients)
            state["momentum"].lerp_(gradients, 1 - _MOMENTUM)
            turned = orthogonalized(gradients.lerp(state["momentum"], _MOMENTUM), self._dtype)
            torch._foreach_mul_(matrices, 1 - rate * group["weight_decay"])
            size = _ADAMW_SIZE * max(gradients.shape[1:]) ** 0.5
            torch._foreach_add_(matrices, list(turned.unbind()), alpha=-rate * size)


def orthogonalized(
    matrices: Float[Tensor, "n rows columns"], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n rows columns"]:
    """About the nearest matrices whose singular values are all 1: between 0.7 and 1.2.

    By Newton-Schulz steps, which are computed in `dtype`.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = (x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)).to(dtype)
    a, b, c = _COEFFICIENTS
    for _ in range(_STEPS):
        gram = x @ x.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, gram, x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
