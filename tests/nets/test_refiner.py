from pathlib import Path

import pytest
import torch

import smalti
from smalti.errors import SmaltiError
from smalti.nets import PixelNetwork, Refiner


def test_a_saved_refiner_comes_back_equal(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Refiner(channels=1, patch=4, width=8, blocks=2)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    net.save_pretrained(tmp_path / "refiner")
    loaded = Refiner.from_pretrained(tmp_path / "refiner")
    pixels = 255 * torch.rand(2, 1, 10, 12)
    assert torch.equal(loaded(pixels), net.eval()(pixels))
    assert smalti.Refiner is Refiner  # saved models name it so
    (tmp_path / "refiner" / "config.json").unlink()
    with pytest.raises(SmaltiError, match=r"not a whole Refiner: config\.json missing"):
        Refiner.from_pretrained(tmp_path / "refiner")


def test_it_is_a_pixel_network_and_its_weights_have_the_names_they_have_there() -> None:
    # So that a deblocker and a refiner of one shape can be loaded into each other, and saved refiners outlive a move.
    one, other = Refiner(channels=3, patch=8, width=8, blocks=1), PixelNetwork(3, 8, 8, 1)
    assert isinstance(one, PixelNetwork)
    assert {name: tensor.shape for name, tensor in one.state_dict().items()} == {
        name: tensor.shape for name, tensor in other.state_dict().items()
    }
    assert set(one.state_dict()) == {"place"} | {
        f"{layer}.{part}" for layer in ("read", "write", "body.0.first", "body.0.second") for part in ("weight", "bias")
    }
