"""Training in processes that a launcher starts, and going on in another number of them."""

import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from smalti.cli import main
from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images
from smalti.model_folder import ModelFolder
from smalti.training import TrainSettings

SETTINGS = TrainSettings(images=64, batch_size=8, warmup=0, checkpoint_every=32, log_every=8, precision="fp32")
OPTIONS = [
    word
    for name in ("images", "batch_size", "warmup", "checkpoint_every", "log_every", "precision")
    for word in (f"--{name.replace('_', '-')}", str(getattr(SETTINGS, name)))
]
# Sums of float32 come out otherwise by 2**-24 of their terms in another order, and each step makes its own of those
# before: that of 8 steps is told to some hundred roundings.
ROUNDING = 1_000 * 2**-24


def _train(latents: Path, out: Path, *more: str) -> list[str]:
    return ["train", str(latents), "--out", str(out), "--width", "32", "--device", "cpu", *OPTIONS, *more]


def _processes(out: Path) -> list[int]:
    """How many there were, as accelerate had it, at each checkpoint."""
    found = ModelFolder(out).generator.checkpoints
    return [json.loads((folder / "state.json").read_text())["processes"] for folder in found]


def _lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ModelFolder(out).generator.metrics.read_text().splitlines()]


def test_two_processes_train_the_same_model_as_one_and_one_goes_on_with_it(
    photo_folder: Path, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("smalti.recipes.samples"), "_PROGRESS_COUNT", 1)  # small sample grids
    encode_images(open_images(photo_folder, size=16), codec, tmp_path / "latents", progress=False)
    one, two, mixed = (tmp_path / name for name in ("one", "two", "mixed"))
    main(_train(tmp_path / "latents", one, "--processes", "1"))

    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "smalti", *_train(tmp_path / "latents", two, "--at-once", "3")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("next: smalti sample") == 1

    shutil.copytree(two, mixed)
    shutil.rmtree(ModelFolder(mixed).generator.checkpoint(64))
    main(_train(tmp_path / "latents", mixed, "--processes", "1", "--resume"))
    assert (_processes(one), _processes(two), _processes(mixed)) == ([1, 1], [2, 2], [2, 1])

    # The same images at the same times, to the last; sums in another order. What is written is of all images.
    whole = _lines(one)
    assert len(whole) == 8
    for lines in (_lines(two), _lines(mixed)):
        assert [line["images_by_level"] for line in lines] == [line["images_by_level"] for line in whole]
        assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in whole], rel=ROUNDING)

    # The optimizers divide a gradient by its size: one that is nothing but rounding makes a step as large as any
    # other, so weights that have no gradient may differ by all that they were moved. Most have one.
    moved = sum(SETTINGS.learning_rate_at(image) for image in range(0, SETTINGS.images, SETTINGS.batch_size))
    weights = [load_file(ModelFolder(out).path / "net" / "diffusion_pytorch_model.safetensors") for out in (one, two)]
    alone, together = (torch.cat([each.flatten() for each in found.values()]) for found in weights)
    assert (alone - together).abs().max() < 2 * moved
    assert (alone - together).abs().median() < ROUNDING * alone.abs().median()
