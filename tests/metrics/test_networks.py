import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from smalti.errors import SmaltiError
from smalti.metrics import FeatureNetwork
from smalti.metrics.networks import open_network

PROCESSOR = {
    "do_center_crop": True,
    "crop_size": {"height": 28, "width": 28},
    "size": {"shortest_edge": 40},
    "image_mean": [0.5, 0.25, 0],
    "image_std": [0.5, 0.25, 1.0],
}


def folder_of(path: Path, **processor: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | processor))
    return path


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop_size": None},
        {"crop_size": {"height": "28"}},
        {"crop_size": 10**6},
        {"image_mean": [0.5]},
        {"image_std": [0, 1, 1]},
        {"image_std": "one"},
    ],
)
def test_a_folder_that_does_not_say_what_it_sees_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(SmaltiError, match=r"preprocessor_config\.json: names no size, mean and deviation"):
        FeatureNetwork(folder_of(tmp_path, **wrong))


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"preprocessor_config\.json"):
        FeatureNetwork(tmp_path)
    with pytest.raises(SmaltiError, match=r"missing: there is no such file or folder"):
        FeatureNetwork(tmp_path / "missing")


def test_the_package_that_it_takes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SmaltiError, match="pip install transformers"):
        FeatureNetwork(folder_of(tmp_path))


VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


def _built(name: str) -> Any:
    transformers = pytest.importorskip("transformers", reason="`make soak` installs it")
    torch.manual_seed(0)
    if name == "dinov2":
        return transformers.Dinov2Model(transformers.Dinov2Config(**VISION))
    if name == "resnet":
        small = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
        return transformers.ResNetForImageClassification(transformers.ResNetConfig(**small))
    if name == "vit":  # whose classifier does without the layer that pools
        return transformers.ViTForImageClassification(transformers.ViTConfig(**VISION))
    words = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}
    both = transformers.CLIPConfig(vision_config=VISION, text_config=words, projection_dim=16)
    return transformers.CLIPModel(both)


def _saw(name: str, net: Any, pixels: torch.Tensor) -> torch.Tensor:
    """What the network of transformers, called by itself, makes of pictures in 0..255."""
    mean, deviation = (torch.tensor(PROCESSOR[key])[:, None, None] for key in ("image_mean", "image_std"))
    values = (pixels / 255 - mean) / deviation
    net = net.eval()
    if name == "clip":
        return net.visual_projection(net.vision_model(pixel_values=values).pooler_output)
    return getattr(net, "resnet", net)(pixel_values=values).pooler_output.flatten(1)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["dinov2", "resnet", "clip"])
def test_a_folder_of_transformers_sees_what_it_saw_there(name: str, tmp_path: Path, photo: torch.Tensor) -> None:
    net = _built(name)
    net.save_pretrained(folder_of(tmp_path / name))
    network = FeatureNetwork(tmp_path / name)
    assert (network.frechet_name, network.kernel_name) == (f"FD-{name}", f"KID-{name}")
    crop = photo[:, :28, :28]  # of the size that it is shown
    found = network([crop, photo])
    with torch.no_grad():
        expected = _saw(name, net, crop[None].float())
    torch.testing.assert_close(found[:1], expected, rtol=1e-4, atol=1e-5)
    assert (found[0] - found[1]).norm() > 0

    pixels = crop[None].float().requires_grad_()
    seen = network.differentiable(pixels)
    (seen * torch.arange(seen.shape[1])).sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().max() > 0


@pytest.mark.soak
def test_weights_that_a_folder_lacks_are_not_drawn_by_chance(tmp_path: Path) -> None:
    _built("vit").save_pretrained(folder_of(tmp_path))
    with pytest.raises(SmaltiError, match=r"lacks weights \(pooler"):
        FeatureNetwork(tmp_path)


@pytest.mark.soak
def test_neither_pickles_nor_programs_are_loaded(tmp_path: Path) -> None:
    net = _built("dinov2")
    net.save_pretrained(folder_of(tmp_path))
    state = net.state_dict()
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(SmaltiError, match="cannot be loaded by transformers"):
        open_network(tmp_path, "cpu")

    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "theirs.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    with pytest.raises(SmaltiError, match="cannot be loaded by transformers"):
        open_network(tmp_path, "cpu")
    assert not (tmp_path / "run").exists()
