"""A tiny model that was never trained, in a folder as a run leaves one, and the page of it served."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from smalti.app import Subject, served
from smalti.codec import Codec
from smalti.diffusion import Categorical
from smalti.model_folder import ModelFolder
from smalti.nets import UNet
from smalti.pipeline import SmaltiPipeline
from smalti.schedulers import make_scheduler

SIZE = (16, 24)
CLASSES = ["cats", "dogs", "owls"]


@pytest.fixture(scope="session")
def subject(codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    process = Categorical.of(codec, k=2)
    torch.manual_seed(0)
    net = UNet(process.in_channels, process.out_channels, (4, 6), classes=len(CLASSES), width=32)
    torch.nn.init.normal_(net.body.conv_out.weight, std=0.1)
    pipe = SmaltiPipeline(codec, process, net.eval(), make_scheduler("ddpm", process), list(SIZE), CLASSES)
    pipe.set_progress_bar_config(disable=True)
    folder = tmp_path_factory.mktemp("run") / "a run"
    pipe.save_pretrained(folder)
    lines = [{"images": image, "loss": 5 - image / 1_000, "images_per_second": 70.0} for image in (640, 1_280)]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / "progress").mkdir()
    Image.new("RGB", (50, 40), "teal").save(ModelFolder(folder).progress(640))
    return Subject(ModelFolder(folder), pipe)


@pytest.fixture(scope="session")
def pipe(subject: Subject) -> SmaltiPipeline:
    return subject.pipe


@pytest.fixture(scope="session")
def address(subject: Subject) -> Iterator[str]:
    with served(subject) as url:
        yield url


@pytest.fixture(scope="session")
def photo_file(photo: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upload") / "a photo.jpg"
    Image.fromarray(photo[:, :200].permute(1, 2, 0).numpy()).save(path)  # unlike the photo that the page begins with
    return path
