from pathlib import Path

import pytest
import torch

from smalti.nets import NO_LABEL, UNet


@pytest.mark.parametrize("grid", [(1, 1), (4, 4), (5, 9), (8, 8), (16, 16), (24, 24), (25, 25)])
def test_the_output_has_the_size_of_any_grid(grid: tuple[int, int]) -> None:
    net = UNet(4, 6, grid, width=32, layers=1)
    assert net(torch.randn(2, 4, *grid), torch.tensor([0, 999])).shape == (2, 6, *grid)


def test_the_first_output_is_zero_and_gradients_reach_all_but_the_unused() -> None:
    torch.manual_seed(0)
    net = UNet(4, 4, (8, 8), classes=3, width=32, layers=1)
    x, t, label = torch.randn(3, 4, 8, 8), torch.tensor([1, 500, 999]), torch.tensor([0, NO_LABEL, 2])
    assert not net(x, t, label).any()
    torch.nn.init.normal_(net.body.conv_out.weight)
    net(x, t, label).square().mean().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    rows = net.body.class_embedding.weight.grad.abs().sum(1)
    assert (rows > 0).tolist() == [True, False, True, True]  # class 1 was not shown, the last row is "no label"


def test_no_label_is_the_same_by_leaving_it_out_and_differs_from_a_label() -> None:
    torch.manual_seed(0)
    net = UNet(4, 4, (8, 8), classes=3, width=32, layers=1).eval()
    torch.nn.init.normal_(net.body.conv_out.weight)
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 10])
    none = net(x, t)
    assert torch.equal(none, net(x, t, torch.tensor([NO_LABEL, NO_LABEL])))
    assert not torch.allclose(none, net(x, t, torch.tensor([1, 1])))


def test_time_matters() -> None:
    torch.manual_seed(0)
    net = UNet(4, 4, (8, 8), width=32, layers=1).eval()
    torch.nn.init.normal_(net.body.conv_out.weight)
    x = torch.randn(1, 4, 8, 8)
    assert not torch.allclose(net(x, torch.tensor([10])), net(x, torch.tensor([900])))
    torch.testing.assert_close(net(x, torch.tensor([10])), net(x, torch.tensor([10.0])))


def test_a_saved_network_comes_back_equal(tmp_path: Path) -> None:
    net = UNet(4, 4, (8, 8), classes=2, width=32, layers=1).to(memory_format=torch.channels_last)
    net.save_pretrained(tmp_path)
    loaded = UNet.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), loaded.parameters(), strict=True))
