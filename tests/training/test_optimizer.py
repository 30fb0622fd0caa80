from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from smalti.training.optimizer import Optimizer


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 8, 3), nn.SiLU(), nn.Conv2d(8, 6, 1), nn.Flatten(), nn.Linear(24, 4)).to(
        memory_format=torch.channels_last  # pyright: ignore[reportCallIssue]
    )


def _learn(model: nn.Module, optimizer: Optimizer, steps: int, rate: float = 1e-2) -> list[float]:
    losses = []
    x = torch.randn(16, 2, 4, 4, generator=torch.Generator().manual_seed(1)).to(memory_format=torch.channels_last)
    y = x.flatten(1)[:, :4] * 2
    for _ in range(steps):
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step(rate)
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_it_learns_and_forgets_the_gradients(name: str) -> None:
    model = _model()
    losses = _learn(model, Optimizer(model, name, 0.0), 100)  # pyright: ignore[reportArgumentType]
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_step_of_muon_turns_all_directions_of_a_matrix_alike() -> None:
    model = _model()
    kernel: nn.Parameter = model[0].weight  # pyright: ignore
    before = kernel.detach().clone()
    _learn(model, Optimizer(model, "muon", 0.0), 1, rate=1.0)
    # As large as a step of AdamW: 0.2 a weight; Newton-Schulz leaves singular values between about 0.7 and 1.2.
    step = (kernel - before).detach().flatten(1)
    singular = torch.linalg.svdvals(step) / (0.2 * max(step.shape) ** 0.5)
    assert singular.min() > 0.5
    assert singular.max() < 1.3


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_state_that_was_kept_goes_on_to_the_bit(tmp_path: Path, name: str) -> None:
    first = _model()
    optimizer = Optimizer(first, name, 0.1)  # pyright: ignore[reportArgumentType]
    _learn(first, optimizer, 5)
    save_file({key: value.contiguous() for key, value in optimizer.tensors().items()}, tmp_path / "state")
    second = _model()
    second.load_state_dict(first.state_dict())
    other = Optimizer(second, name, 0.1)  # pyright: ignore[reportArgumentType]
    other.load(load_file(tmp_path / "state"))
    assert _learn(first, optimizer, 3) == _learn(second, other, 3)


def test_the_state_of_another_optimizer_is_no_state() -> None:
    other = _model()
    adamw, muon = Optimizer(_model(), "adamw", 0.0), Optimizer(other, "muon", 0.0)
    _learn(other, muon, 1)
    with pytest.raises(KeyError):
        adamw.load(muon.tensors())


def test_kernels_that_it_could_only_copy_are_refused() -> None:
    with pytest.raises(RuntimeError, match="view"):
        Optimizer(nn.Conv2d(2, 8, 3), "muon", 0.0)
