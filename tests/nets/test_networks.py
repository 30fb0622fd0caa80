"""What holds for every network that a generator can have."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import smalti
from smalti.nets import NO_LABEL, BatchDropout, DiT, UNet

Make = Callable[..., Any]

every_network = pytest.mark.parametrize(
    "make", [partial(UNet, width=32, layers=1), partial(DiT, width=64, layers=2)], ids=["UNet", "DiT"]
)


def _awake(net: Any) -> Any:
    """The network with small random numbers where its weights begin as zeros, so that its output says something."""
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


@every_network
@pytest.mark.parametrize("grid", [(1, 1), (4, 4), (5, 9), (8, 8), (16, 16), (24, 24), (25, 25)])
def test_the_output_has_the_size_of_any_grid(make: Make, grid: tuple[int, int]) -> None:
    net = make(4, 6, grid)
    assert net(torch.randn(2, 4, *grid), torch.tensor([0, 999])).shape == (2, 6, *grid)


@every_network
def test_another_grid_than_it_was_made_for_will_do(make: Make) -> None:
    net = make(4, 6, (8, 8))
    assert net(torch.randn(2, 4, 7, 12), torch.tensor([0, 999])).shape == (2, 6, 7, 12)


@every_network
def test_the_first_output_is_zero_and_gradients_reach_all_but_the_unused(make: Make) -> None:
    torch.manual_seed(0)
    net = make(4, 4, (8, 8), classes=3)
    x, t, label = torch.randn(3, 4, 8, 8), torch.tensor([1, 500, 999]), torch.tensor([0, NO_LABEL, 2])
    assert not net(x, t, label).any()
    _awake(net)(x, t, label).square().mean().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    table = next(p for name, p in net.named_parameters() if "class_embedding" in name)
    rows = table.grad.abs().sum(1)
    assert (rows > 0).tolist() == [True, False, True, True]  # class 1 was not shown, the last row is "no label"


@every_network
def test_no_label_is_the_same_by_leaving_it_out_and_differs_from_a_label(make: Make) -> None:
    torch.manual_seed(0)
    net = _awake(make(4, 4, (8, 8), classes=3))
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 10])
    none = net(x, t)
    assert torch.equal(none, net(x, t, torch.tensor([NO_LABEL, NO_LABEL])))
    assert not torch.allclose(none, net(x, t, torch.tensor([1, 1])))


@every_network
def test_without_classes_labels_change_nothing(make: Make) -> None:
    torch.manual_seed(0)
    net = _awake(make(4, 4, (8, 8)))
    assert not any("class_embedding" in name for name, _ in net.named_parameters())
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 10])
    assert torch.equal(net(x, t), net(x, t, torch.tensor([NO_LABEL, NO_LABEL])))


@every_network
def test_time_matters(make: Make) -> None:
    torch.manual_seed(0)
    net = _awake(make(4, 4, (8, 8)))
    x = torch.randn(1, 4, 8, 8)
    assert not torch.allclose(net(x, torch.tensor([10])), net(x, torch.tensor([900])))
    torch.testing.assert_close(net(x, torch.tensor([10])), net(x, torch.tensor([10.0])))


@every_network
def test_an_image_does_not_see_the_others_of_its_batch(make: Make) -> None:
    torch.manual_seed(0)
    net = _awake(make(4, 4, (8, 8), classes=3))
    x, t, label = torch.randn(3, 4, 8, 8), torch.tensor([1, 500, 999]), torch.tensor([0, NO_LABEL, 2])
    torch.testing.assert_close(net(x, t, label)[1:2], net(x[1:2], t[1:2], label[1:2]))


@every_network
def test_bfloat16_gives_the_same_but_for_its_rounding(make: Make) -> None:
    torch.manual_seed(0)
    net = _awake(make(4, 4, (8, 8), classes=3))
    x, t, label = torch.randn(2, 4, 8, 8), torch.tensor([10.0, 900.0]), torch.tensor([NO_LABEL, 2])
    exact = net(x, t, label)
    with torch.autocast("cpu", torch.bfloat16):
        automatic = net(x, t, label)
    cast = net.to(torch.bfloat16)(x.to(torch.bfloat16), t, label)
    assert cast.dtype == torch.bfloat16
    for rounded in (automatic.float(), cast.float()):
        # bfloat16 keeps 8 bits: 0.4% an operation, some tens of them one after the other
        assert (rounded - exact).square().mean().sqrt() < 0.05 * exact.square().mean().sqrt()


@every_network
def test_activations_that_are_computed_again_are_not_kept_and_change_nothing(make: Make) -> None:
    torch.manual_seed(0)
    net = _awake(make(4, 4, (8, 8), dropout=0.2)).train()
    for module in net.modules():
        if isinstance(module, BatchDropout):
            module.draw(1, slice(None), 2)
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])

    weights = {parameter.data_ptr() for parameter in net.parameters()}

    def kept_and_gradients() -> tuple[int, list[torch.Tensor]]:
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.data_ptr() not in weights:
                kept[tensor.data_ptr()] = tensor.nbytes
            return tensor

        net.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = net(x, t).square().mean()
        loss.backward()
        return sum(kept.values()), [parameter.grad.clone() for parameter in net.parameters()]

    kept, gradients = kept_and_gradients()
    net.enable_gradient_checkpointing()
    kept_then, gradients_then = kept_and_gradients()
    assert kept_then < 0.75 * kept
    for one, other in zip(gradients, gradients_then, strict=True):
        torch.testing.assert_close(one, other)


@every_network
def test_nothing_is_made_on_another_device_than_that_of_the_inputs(make: Make) -> None:
    net = make(4, 6, (8, 8), classes=3).to("meta")
    x, t = torch.randn(2, 4, 8, 8, device="meta"), torch.zeros(2, device="meta")
    for label in (None, torch.zeros(2, dtype=torch.int64, device="meta")):
        assert net(x, t, label).device.type == "meta"


@every_network
def test_channels_last_weights_and_inputs_give_the_same(make: Make) -> None:
    torch.manual_seed(0)
    net = _awake(make(4, 4, (5, 6)))
    x, t = torch.randn(2, 4, 5, 6), torch.tensor([10, 900])
    before = net(x, t)
    after = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last), t)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


@every_network
def test_it_learns_to_answer_noise_with_a_fixed_pattern(make: Make) -> None:
    torch.manual_seed(0)
    pattern = torch.randn(3, 6, 6)
    net = make(3, 3, (6, 6)).train()
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
    for _ in range(150):
        t = torch.randint(0, 1000, (8,))
        loss = (net(torch.randn(8, 3, 6, 6), t) - pattern).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < 0.1 * pattern.square().mean()


@every_network
def test_a_saved_network_comes_back_equal(make: Make, tmp_path: Path) -> None:
    net = make(4, 4, (8, 8), classes=2).to(memory_format=torch.channels_last)
    net.save_pretrained(tmp_path)
    loaded = type(net).from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), loaded.parameters(), strict=True))
    assert getattr(smalti, type(net).__name__) is type(net)  # saved models name it so
