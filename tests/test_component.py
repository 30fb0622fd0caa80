"""Parts are loaded strictly, alone as in a model: whatever is not as it was written is refused, and before it costs."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from smalti.codec import Codec
from smalti.component import Component
from smalti.diffusion import Categorical
from smalti.errors import SmaltiError
from smalti.nets import DiT, Refiner, UNet
from smalti.pipeline import SmaltiPipeline
from smalti.schedulers import make_scheduler

Weights = dict[str, Tensor]
FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def parts(codec: Codec) -> dict[str, Component]:
    """One of each, whose first entry of weights is of floats."""
    process = Categorical.of(codec, k=2)
    return {
        "codec": codec,
        "process": process,
        "dit": DiT(2, 4, (2, 2), width=32, layers=1),
        "unet": UNet(2, 4, (4, 4), width=32),
        "refiner": Refiner(3, 4, 8, 1),
    }


def _without_the_first(weights: Weights) -> None:
    del weights[min(weights)]


def _with_another(weights: Weights) -> None:
    weights["another"] = torch.zeros(1)


def _of_another_shape(weights: Weights) -> None:
    weights[min(weights)] = weights[min(weights)][:-1].clone()


def _of_integers(weights: Weights) -> None:
    weights[min(weights)] = torch.zeros(weights[min(weights)].shape, dtype=torch.int64)


def _of(value: float) -> Callable[[Weights], None]:
    def change(weights: Weights) -> None:
        for weight in weights.values():
            weight.view(-1)[-1] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without_the_first, "its weights have no "),
        (_with_another, "its weights have besides a another"),
        (_of_another_shape, "where its configuration says"),
        (_of_integers, "is of I64, and has to be float"),
        (_of(float("nan")), "holds what is no number"),
        (_of(float("-inf")), "holds what is no number"),
    ],
)
@pytest.mark.parametrize("name", ["codec", "process", "dit", "unet", "refiner"])
def test_other_weights_than_the_configuration_says_are_refused(
    parts: dict[str, Component], tmp_path: Path, name: str, change: Callable[[Weights], None], says: str
) -> None:
    part = parts[name]
    part.save_pretrained(tmp_path)
    weights = load_file(tmp_path / FILE)
    change(weights)
    save_file(weights, tmp_path / FILE, {"format": "pt"})
    with pytest.raises(SmaltiError, match="is not what was written"):
        type(part).from_pretrained(tmp_path)
    (tmp_path / "digests.json").unlink()  # as folders of earlier versions have none
    with pytest.raises(SmaltiError, match=says):
        type(part).from_pretrained(tmp_path)


def test_coordinates_that_pad_are_infinite_and_no_fault(parts: dict[str, Component], tmp_path: Path) -> None:
    process: Any = parts["process"]
    assert process.coordinates.padding.any()
    process.save_pretrained(tmp_path)
    assert torch.equal(Categorical.from_pretrained(tmp_path).coordinates.table, process.coordinates.table)


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("dit", {"width": 40_000}),
        ("dit", {"layers": 10**9}),
        ("dit", {"classes": 10**15}),
        ("unet", {"width": 40_000}),
        ("unet", {"unfold": 2**40}),
        ("unet", {"layers": 10**9}),
        ("refiner", {"blocks": 10**9}),
        ("refiner", {"width": -1}),
        ("codec", {"spec": "RQ-4096-4096-4096/64"}),
        ("codec", {"deblock": "convolutional", "deblock_width": 40_000}),
        ("codec", {"spec": 3}),
        ("codec", {"pixel_format": [1]}),
        ("process", {"codewords": 10**12}),
        ("process", {"k": "many"}),
    ],
    ids=str,
)
def test_sizes_that_a_configuration_claims_are_refused_before_they_cost(
    parts: dict[str, Component], tmp_path: Path, name: str, entries: dict[str, Any]
) -> None:
    part = parts[name]
    part.save_pretrained(tmp_path)
    (tmp_path / "digests.json").unlink()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | entries))
    begun = time.process_time()
    with pytest.raises(SmaltiError, match=str(tmp_path)):
        type(part).from_pretrained(tmp_path)
    assert time.process_time() - begun < 5  # seconds; 10**9 layers would take days


def test_parts_of_another_codec_are_refused(codec: Codec, photo: Tensor, tmp_path: Path) -> None:
    other = Codec.fit([photo], str(codec.spec), patches=2_000, seed=1, progress=False)

    def model(of: Codec, net: DiT | None = None, refiner: Refiner | None = None) -> SmaltiPipeline:
        process = Categorical.of(of, k=2)
        net = net or DiT(process.in_channels, process.out_channels, (2, 2), width=32, layers=1)
        return SmaltiPipeline(of, process, net, make_scheduler("ddim", process), refiner=refiner)

    first = model(codec, refiner=Refiner(3, 4, 8, 1))
    first.save_pretrained(tmp_path)
    loaded = SmaltiPipeline.from_pretrained(tmp_path)
    assert loaded.net.made_for == codec.fingerprint
    with pytest.raises(SmaltiError, match="the network was made for another codec"):
        model(other, net=DiT.from_pretrained(tmp_path / "net"))
    with pytest.raises(SmaltiError, match="the refiner was made for another codec"):
        model(other, refiner=Refiner.from_pretrained(tmp_path / "refiner"))
    codewords = loaded.process.coordinates.table[:, :-1]
    loaded.process.coordinates.table = codewords
    with pytest.raises(SmaltiError, match="coordinates of other codewords"):
        SmaltiPipeline(codec, loaded.process, loaded.net, loaded.scheduler)
