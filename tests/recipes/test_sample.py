import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import encode_images, open_images
from smalti.diffusion import CategoricalSettings
from smalti.errors import SmaltiError
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
    assert torch.equal(pictures, expected)
