"""Training in two real processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from smalti.codec import Codec
from smalti.data import encode_images, open_images

OPTIONS = [
    "--width",
    "32",
    "--k",
    "2",
    "--images",
    "64",
    "--warmup",
    "0",
    "--batch-size",
    "8",
    "--checkpoint-every",
    "32",
    "--log-every",
    "8",
    "--device",
    "cpu",
]


def test_two_processes_train_the_same_model_as_one(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    encode_images(open_images(photo_folder, size=16), codec, tmp_path / "latents", progress=False)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes"]
    for count in (1, 2):
        train = ["-m", "smalti", "train", str(tmp_path / "latents"), "--out", str(tmp_path / str(count)), *OPTIONS]
        more = ["--main_process_port", "0", "--num_cpu_threads_per_process", "1", "--mixed_precision", "no"]
        more += ["--num_machines", "1", "--dynamo_backend", "no"]
        done = subprocess.run([*launch, str(count), *more, *train], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("next: smalti sample") == 1
    one, two = (load_file(tmp_path / name / "net" / "diffusion_pytorch_model.safetensors") for name in "12")
    curves = [json.loads((tmp_path / name / "levels.json").read_text()) for name in "12"]
    assert curves[1]["images"] == curves[0]["images"] == 64
    assert curves[1]["loss"] == pytest.approx(curves[0]["loss"], rel=1e-4)
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in "12"
    ]
    # The same images, times and noise; sums in another order. The loss that is written is that of all images.
    assert len(losses[0]) == 8
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    for name in one:
        assert (one[name] - two[name]).abs().max() < 1e-3, name
