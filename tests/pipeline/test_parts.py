"""A model that names, or holds, code of others is refused before that is imported."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.pipeline import SmaltiPipeline
from smalti.training import GeneratorSettings, begin_generator

CODE = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"


@pytest.fixture(scope="module")
def saved(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    latents = encode_images(open_images(photo_folder, size=16), codec, folder / "latents", progress=False)
    begin_generator(latents, GeneratorSettings()).save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture
def changed(saved: Path, tmp_path: Path) -> Callable[..., Path]:
    """The model with other entries in its index."""

    def made(**entries: Any) -> Path:
        model = tmp_path / "model"
        shutil.copytree(saved, model)
        index = json.loads((model / "model_index.json").read_text())
        (model / "model_index.json").write_text(json.dumps(index | entries))
        (model / "digests.json").unlink()
        return model

    return made


def test_a_model_of_ours_loads(changed: Callable[..., Path]) -> None:
    assert SmaltiPipeline.from_pretrained(changed()).classes == ["cats", "others"]


@pytest.mark.parametrize(
    "entries",
    [
        {"net": ["evil", "Net"]},
        {"net": ["os", "system"]},
        {"net": ["smalti", "SmaltiPipeline"]},
        {"net": ["smalti", "ModelMixin"]},
        {"net": ["diffusers", "UNet2DModel"]},
        {"net": ["torch.nn", "Linear"]},
        {"net": [None, None]},
        {"codec": "evil"},
        {"codec": [["evil"], "Net"]},
        {"scheduler": ["diffusers", "StableDiffusionPipeline"]},
        {"scheduler": ["smalti", "UNet"]},
        {"_class_name": ["pipeline", "Evil"]},
    ],
    ids=str,
)
def test_what_is_no_part_is_refused_and_nothing_of_it_is_imported(
    changed: Callable[..., Path], entries: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = changed(**entries)
    (model.parent / "evil.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(model.parent))
    with pytest.raises(SmaltiError, match="which is no part of smalti, so it is not loaded"):
        SmaltiPipeline.from_pretrained(model)
    assert "evil" not in sys.modules
    assert not (model.parent / "ran").exists()


@pytest.mark.parametrize(
    "content", ['"someone"', "3", "[]", "null", '{"num_train_timesteps": 1000000000}', "[" * 9_999]
)
def test_a_scheduler_of_anything_else_is_refused_and_nobody_is_asked_for_it(
    changed: Callable[..., Path], content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers takes a word there for the name of a model on the Hub."""
    asked: list[object] = []
    monkeypatch.setattr("diffusers.configuration_utils.hf_hub_download", lambda *name, **_: asked.append(name))
    model = changed()
    (model / "scheduler" / "scheduler_config.json").write_text(content)
    with pytest.raises(SmaltiError, match=r"scheduler_config\.json"):
        SmaltiPipeline.from_pretrained(model)
    assert not asked


@pytest.mark.parametrize("place", ["pipeline.py", "net/unet.py", "scheduler/scheduler.py"])
def test_a_model_that_holds_code_is_refused(changed: Callable[..., Path], place: str) -> None:
    model = changed()
    (model / place).write_text(CODE)
    with pytest.raises(SmaltiError, match="models hold no code"):
        SmaltiPipeline.from_pretrained(model)
    assert not (model / place).with_name("ran").exists()


def test_weights_that_are_no_numbers_are_refused(changed: Callable[..., Path]) -> None:
    model = changed()
    file = model / "net" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    first = next(name for name, weight in weights.items() if weight.is_floating_point())
    weights[first].view(-1)[0] = float("nan")
    save_file(weights, file)
    (model / "net" / "digests.json").unlink()
    with pytest.raises(SmaltiError, match=f"net: its {first} holds what is no number"):
        SmaltiPipeline.from_pretrained(model)
