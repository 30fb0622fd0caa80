"""What takes the steps of training: AdamW, or Muon where weights are matrices and AdamW for the rest."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

OptimizerName = Literal["adamw", "muon"]

_BETAS = (0.9, 0.99)


class Optimizer:
    """The optimizer of a network, by name.

    Muon (Jordan et al. 2024) turns the momentum of a matrix into the nearest one whose singular values are all alike,
    by five Newton-Schulz steps, so that all directions are learned as fast. Kernels of convolutions are matrices too,
    a row an output channel. Its steps are scaled to be as large as those of AdamW (Liu et al. 2025), so that one
    learning rate serves both. Biases, gains, embeddings and tables have AdamW.
    """

    def __init__(self, model: nn.Module, name: OptimizerName, weight_decay: float):
        """Take a network that is where it is going to stay: kernels are stepped through views of their storage."""
        self.parameters = list(model.parameters())
        matrices = [] if name == "adamw" else list(_matrices(model))
        self._views = [(weight, _flat(weight.detach()).requires_grad_()) for weight in matrices]
        others = [each for each in self.parameters if not any(each is weight for weight in matrices)]
        self._parts: dict[str, torch.optim.Optimizer] = {}
        if others:
            self._parts["adamw"] = torch.optim.AdamW(others, betas=_BETAS, weight_decay=weight_decay)
        if matrices:
            views = [view for _, view in self._views]
            self._parts["muon"] = torch.optim.Muon(views, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, learning_rate: float) -> None:
        """Change the weights by their gradients, and forget these."""
        for weight, view in self._views:
            view.grad = None if weight.grad is None else _flat(weight.grad)
        for part in self._parts.values():
            for group in part.param_groups:
                group["lr"] = learning_rate
            part.step()
            part.zero_grad(set_to_none=True)
        for parameter in self.parameters:
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Its whole state, by names."""
        return {
            f"{name}.{index}.{entry}": value
            for name, part in self._parts.items()
            for index, entries in part.state_dict()["state"].items()
            for entry, value in entries.items()
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take the state that `tensors` gave.

        Raises:
            KeyError: it is that of another optimizer.
        """
        states: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in self._parts}
        for key, value in tensors.items():
            name, index, entry = key.split(".")
            states[name].setdefault(int(index), {})[entry] = value
        for name, part in self._parts.items():
            part.load_state_dict({"state": states[name], "param_groups": part.state_dict()["param_groups"]})


def _matrices(model: nn.Module) -> Iterator[Tensor]:
    """The weights of all linear maps and convolutions."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            yield module.weight


def _flat(weight: Tensor) -> Tensor:
    """A row an output channel: a view, where kernels are stored channels last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1) if weight.ndim == 4 else weight
