"""The whole way in real processes: photos in, a model out, killed on the way and resumed."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

OPTIONS = [
    "--size",
    "16",
    "--codec",
    "OPQ-12@6-5@5-4@4/4",
    "--images",
    "384",
    "--batch-size",
    "16",
    "--checkpoint-every",
    "96",
    "--device",
    "cpu",
]


def _create(photos: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "smalti", "create", str(photos), "--out", str(out), *OPTIONS, *more]


def _weights(out: Path) -> dict[str, object]:
    parts = {part: load_file(out / part / "diffusion_pytorch_model.safetensors") for part in ("net", "refiner")}
    return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def whole(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "model"
    done = subprocess.run(_create(photo_folder, out), capture_output=True, text=True, check=True)
    assert "the codec keeps" in done.stdout
    assert "then its refiner: about" in done.stdout
    assert "next: smalti sample" in done.stdout
    return out


def test_create_leaves_a_model_with_samples_and_a_report(whole: Path) -> None:
    report = (whole / "report.html").read_text()
    assert report.count("data:image/png;base64,") == 5  # samples, training, levels, refiner, codec
    with Image.open(whole / "samples.png") as picture:
        assert np.asarray(picture).std() > 1
    figures = json.loads((whole / "report.json").read_text())
    assert figures["codec_quality"]["psnr"] > 15
    assert figures["plan"]["training"]["images"] == 384
    assert "torch" in figures["versions"]


def test_few_photos_are_cropped_in_several_ways(whole: Path) -> None:
    manifest = json.loads((whole / "latents" / "manifest.json").read_text())
    assert manifest["images"] == 24
    assert manifest["views"] == 8
    assert manifest["crop"]["crop"] == "random"
    assert manifest["classes"] == ["cats", "others"]


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("model_index.json", marks=pytest.mark.soak),
        pytest.param("checkpoints/000000000096/state.json", marks=pytest.mark.soak),
        pytest.param("refining/refine.json", marks=pytest.mark.soak),
        "refining/checkpoints/000000000032/state.json",
    ],
)
def test_a_killed_create_resumes_to_the_same_model_to_the_bit(
    whole: Path, photo_folder: Path, tmp_path: Path, moment: str
) -> None:
    out = tmp_path / "model"
    process = subprocess.Popen(_create(photo_folder, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out / moment).exists():
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "samples.png").exists()

    refused = subprocess.run(_create(photo_folder, out), capture_output=True, text=True)
    assert refused.returncode == 2
    assert "not empty" in refused.stderr
    subprocess.run(_create(photo_folder, out, "--resume"), capture_output=True, check=True)
    one, two = _weights(whole), _weights(out)
    assert one.keys() == two.keys()
    assert all((one[name] == two[name]).all() for name in one)  # pyright: ignore
    assert (out / "samples.png").read_bytes() == (whole / "samples.png").read_bytes()


def test_a_create_killed_while_it_encodes_begins_that_again(whole: Path, photo_folder: Path, tmp_path: Path) -> None:
    # What a kill leaves then: the hidden folder of an unfinished encode.
    out = tmp_path / "model"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    left = out / f".latents.{gone.pid}.partial"
    left.mkdir(parents=True)
    (left / "codes-00000.npy").write_bytes(b"half")
    subprocess.run(_create(photo_folder, out, "--resume"), capture_output=True, check=True)
    assert not left.exists()
    one, two = _weights(whole), _weights(out)
    assert all((one[name] == two[name]).all() for name in one)  # pyright: ignore


def test_what_was_taken_is_said_first_and_in_the_report(whole: Path) -> None:
    assert "24 images; 2 classes (cats 8, others 16)" in (whole / "report.html").read_text()


def test_resuming_with_other_photos_is_refused(whole: Path, photo_folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(photo_folder, tmp_path / "other")
    shutil.copy(next(other.rglob("*.png")), other / "cats" / "one more.png")
    refused = subprocess.run(_create(other, whole, "--resume"), capture_output=True, text=True)
    assert refused.returncode == 2
    assert "was begun with other photos" in refused.stderr.splitlines()[-1]


def test_resuming_with_other_settings_is_refused(whole: Path, photo_folder: Path) -> None:
    for more, says in ((["--seed", "1"], "seed"), (["--size", "32"], "16 pixels"), (["--images", "400"], "images")):
        refused = subprocess.run([*_create(photo_folder, whole, "--resume"), *more], capture_output=True, text=True)
        assert refused.returncode == 2
        assert says in refused.stderr.splitlines()[-1]
