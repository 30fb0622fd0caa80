"""What takes the steps of training: AdamW, or Muon where weights are matrices and AdamW for the rest."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from smalti.training.muon import Muon

OptimizerName = Literal["adamw", "muon"]

_BETAS = (0.9, 0.99)


class Optimizer:
    """The optimizer of a network, by name.

    Muon (Jordan et al. 2024) turns the momentum of a matrix into the nearest one whose singular values are all alike,
    by five Newton-Schulz steps, so that all directions are learned as fast. Kernels of convolutions are matrices too,
    a row an output channel. Its steps are scaled to be as large as those of AdamW (Liu et al. 2025), so that one
    learning rate serves both. Biases, gains, embeddings and tables have AdamW.
    """

    def __init__(self, model: nn.Module, name: OptimizerName, weight_decay: float, dtype: torch.dtype = torch.float32):
        """Take a network that is where it is going to stay, its kernels stored channels last.

        Matrices are turned in `dtype`.

        Raises:
            RuntimeError: a kernel is stored otherwise.
        """
        matrices = [] if name == "adamw" else list(_matrices(model))
        # `view` refuses what is stored otherwise; a copy would be trained in the weight's place, and nobody notice.
        self._views = [(weight, _rows(weight.detach()).view(len(weight), -1).requires_grad_()) for weight in matrices]
        taken = {id(weight) for weight in matrices}
        others = [each for each in model.parameters() if id(each) not in taken]
        self._parts: dict[str, torch.optim.Optimizer] = {}
        if others:
            self._parts["adamw"] = torch.optim.AdamW(others, betas=_BETAS, weight_decay=weight_decay)
        if matrices:
            views = [view for _, view in self._views]
            self._parts["muon"] = Muon(views, weight_decay, dtype)

    def step(self, learning_rate: float) -> None:
        """Change the weights by their gradients, and forget these.

        Raises:
            RuntimeError: a weight is not where it was.
        """
        for weight, view in self._views:
            if view.data_ptr() != weight.data_ptr():
                raise RuntimeError("the weights were moved after the optimizer had taken them")
            view.grad = None if weight.grad is None else _rows(weight.grad).reshape(view.shape)
            weight.grad = None
        for part in self._parts.values():
            for group in part.param_groups:
                group["lr"] = learning_rate
            part.step()
            part.zero_grad(set_to_none=True)

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
            ValueError: it is of other weights, or holds what is no number.
        """
        states: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in self._parts}
        for key, value in tensors.items():
            name, index, entry = key.split(".")
            states[name].setdefault(int(index), {})[entry] = value
        for name, part in self._parts.items():
            shapes = [
                {torch.Size(), weight.shape, torch.Size([len(group["params"]), *weight.shape])}
                for group in part.param_groups
                for weight in group["params"]
            ]
            for index, entries in states[name].items():
                for entry, value in entries.items():
                    if index >= len(shapes) or value.shape not in shapes[index]:
                        raise ValueError(f"{name}.{index}.{entry} is of shape {list(value.shape)}")
                    if not value.isfinite().all():
                        raise ValueError(f"{name}.{index}.{entry} holds what is no number")
            part.load_state_dict({"state": states[name], "param_groups": part.state_dict()["param_groups"]})


def _matrices(model: nn.Module) -> Iterator[Tensor]:
    """The weights of all linear maps and convolutions."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            yield module.weight


def _rows(weight: Tensor) -> Tensor:
    """A weight in the order of which a matrix is made, with a row an output channel."""
    return weight.permute(0, 2, 3, 1) if weight.ndim == 4 else weight
