import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import open_images
from smalti.diffusion import CategoricalSettings
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.files import read_json, write_json
from smalti.nets import UNetSettings
from smalti.pipeline import SampleSettings, SmaltiPipeline
from smalti.recipes import sample, samples
from smalti.training import GeneratorSettings, begin_generator


@pytest.fixture(scope="module")
def pipe(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> SmaltiPipeline:
    folder = tmp_path_factory.mktemp("latents") / "latents"
    latents = encode_images(open_images(photo_folder, size=16), codec, folder, progress=False)
    settings = GeneratorSettings(process=CategoricalSettings(k=2), net=UNetSettings(width=32))
    return begin_generator(latents, settings)


@pytest.fixture(scope="module")
def model(pipe: SmaltiPipeline, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "model"
    pipe.save_pretrained(folder)
    return str(folder)


def test_pictures_are_those_of_the_pipeline_whatever_the_batches(
    pipe: SmaltiPipeline, model: str, tmp_path: Path
) -> None:
    settings = SampleSettings(steps=2, batch_size=2, seed=3, scheduler="ddim")
    sample(model, tmp_path / "out", settings, count=3, label="others", device="cpu")
    whole = SampleSettings(steps=2, batch_size=3, seed=3, scheduler="ddim")
    (expected,) = pipe.stream(3, whole, labels=[1, 1, 1])
    for number, pixels in enumerate(expected):
        with Image.open(tmp_path / "out" / f"{number:05d}.png") as image:
            assert torch.equal(torch.from_numpy(np.array(image)).permute(2, 0, 1), pixels)
    with Image.open(tmp_path / "out" / "grid.png") as image:
        assert image.size == (3 * 18 + 2, 18 + 2)
    asked = json.loads((tmp_path / "out" / "sample.json").read_text())["settings"]
    assert (asked["count"], asked["label"], asked["steps"], asked["seed"]) == (3, "others", 2, 3)
    assert (asked["scheduler"], asked["refined"]) == ("DDIMScheduler", False)


def test_a_class_is_asked_for_by_its_name_or_its_number(model: str, tmp_path: Path) -> None:
    for out, label in (("name", "others"), ("number", "1")):
        sample(model, tmp_path / out, SampleSettings(steps=2), count=1, label=label, device="cpu")
    assert (tmp_path / "name" / "00000.png").read_bytes() == (tmp_path / "number" / "00000.png").read_bytes()
    with pytest.raises(SmaltiError, match=r"no class '2': its classes are cats, others"):
        sample(model, tmp_path / "none", count=1, label="2", device="cpu")
    assert not (tmp_path / "none").exists()


def test_each_class_has_its_share_of_samples_class_after_class(pipe: SmaltiPipeline) -> None:
    pictures = samples(pipe, 4, steps=2, seed=1)
    (expected,) = pipe.stream(4, SampleSettings(steps=2, seed=1), labels=[0, 0, 1, 1])
    assert torch.equal(torch.stack(pictures), expected)


def test_pictures_come_one_by_one_and_a_run_that_was_cut_off_goes_on(
    pipe: SmaltiPipeline, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SampleSettings(steps=2, batch_size=2)
    sample(model, tmp_path / "whole", settings, count=5, device="cpu")
    out, decode = tmp_path / "out", SmaltiPipeline.decode
    made: list[int] = []

    def cut_off(self: SmaltiPipeline, latents: torch.Tensor, **how: Any) -> torch.Tensor:
        made.append(len(latents))
        if len(made) == 2:
            raise KeyboardInterrupt
        return decode(self, latents, **how)

    with monkeypatch.context() as patch:
        patch.setattr(SmaltiPipeline, "decode", cut_off)
        with pytest.raises(KeyboardInterrupt):
            sample(model, out, settings, count=4, device="cpu")
    assert sorted(path.name for path in out.glob("*.png")) == ["00000.png", "00001.png"]
    with pytest.raises(SmaltiError, match="pictures were sampled there; go on with --resume"):
        sample(model, out, settings, count=4, device="cpu")
    with pytest.raises(SmaltiError, match=r"was begun otherwise \(seed 0, now 1\); resume with the same"):
        sample(model, out, SampleSettings(steps=2, batch_size=2, seed=1), count=4, resume=True, device="cpu")

    assert sample(model, out, settings, count=4, resume=True, device="cpu") == 2
    assert sample(model, out, settings, count=5, resume=True, device="cpu") == 1
    assert sample(model, out, settings, count=5, resume=True, device="cpu") == 0
    with pytest.raises(SmaltiError, match="holds 5 pictures already"):
        sample(model, out, settings, count=4, resume=True, device="cpu")
    for path in (tmp_path / "whole").glob("*.png"):
        assert path.read_bytes() == (out / path.name).read_bytes()
    assert json.loads((out / "sample.json").read_text())["settings"]["count"] == 5


def test_pictures_of_another_model_are_not_gone_on_with(pipe: SmaltiPipeline, model: str, tmp_path: Path) -> None:
    other = tmp_path / "model"
    pipe.save_pretrained(other)
    sample(str(other), tmp_path / "out", SampleSettings(steps=1), count=1, device="cpu")
    changed = SmaltiPipeline.from_pretrained(other)
    with torch.no_grad():
        next(changed.net.parameters()).add_(1)
    changed.save_pretrained(other)
    with pytest.raises(SmaltiError, match="is another model now"):
        sample(str(other), tmp_path / "out", SampleSettings(steps=1), count=2, resume=True, device="cpu")
    with pytest.raises(SmaltiError, match="the file is missing"):
        sample(str(other), tmp_path / "none", SampleSettings(steps=1), resume=True, device="cpu")


def test_what_a_version_without_a_setting_began_is_not_gone_on_with_by_its_default(model: str, tmp_path: Path) -> None:
    settings = SampleSettings(steps=1)
    sample(model, tmp_path, settings, count=1, device="cpu")
    record = read_json(tmp_path / "sample.json")
    del record["settings"]["extrapolation"]
    write_json(tmp_path / "sample.json", record, digest=True)
    with pytest.raises(SmaltiError, match=r"begun otherwise \(by a version without extrapolation"):
        sample(model, tmp_path, settings, count=2, resume=True, device="cpu")


def test_the_weights_of_a_guide_are_recorded_and_not_exchanged(
    pipe: SmaltiPipeline, model: str, tmp_path: Path
) -> None:
    guide = tmp_path / "guide"
    pipe.save_pretrained(guide)
    settings = SampleSettings(steps=1, guidance=2.0, guide=str(guide))
    sample(model, tmp_path / "out", settings, count=1, device="cpu")
    record = json.loads((tmp_path / "out" / "sample.json").read_text())
    assert record["guide_weights"] == pipe.weights_fingerprint(refined=False)
    assert sample(model, tmp_path / "out", settings, count=2, resume=True, device="cpu") == 1
    changed = SmaltiPipeline.from_pretrained(guide)
    with torch.no_grad():
        next(changed.net.parameters()).add_(1)
    changed.save_pretrained(guide)
    with pytest.raises(SmaltiError, match="the guide is another model now"):
        sample(model, tmp_path / "out", settings, count=3, resume=True, device="cpu")
