"""The whole way in real processes: photos in, a model out, killed on the way and resumed."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from smalti.errors import SmaltiError
from smalti.recipes import CreateSettings, create, train
from smalti.recipes.plan import Plan
from smalti.signals import Ended

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

BEGUN = CreateSettings(size=16, codec="OPQ-12@6-5@5-4@4/4", images=384, batch_size=16, checkpoint_every=96)


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
    assert "4 of 24 photos are held out" in done.stdout
    assert "384 images (19.2 passes over 20 photos)" in done.stdout
    assert "then its refiner: about" in done.stdout
    assert "next: smalti sample" in done.stdout
    return out


def test_create_leaves_a_model_with_samples_and_a_report(whole: Path) -> None:
    report = (whole / "report.html").read_text()
    assert report.count("data:image/png;base64,") == 6  # samples, training, copies, levels, refiner, codec
    with Image.open(whole / "samples.png") as picture:
        assert np.asarray(picture).std() > 1
    figures = json.loads((whole / "report.json").read_text())
    assert figures["codec_quality"]["psnr"] > 15
    assert figures["plan"]["training"]["images"] == figures["images_trained"] == 384
    assert figures["passes"] == pytest.approx(384 / 20)
    assert len(figures["held_out_loss"]["loss"]) == 4
    assert 0 <= figures["nearest_training"]["nearer"] <= 1
    assert "A generator of 20 photos" in report
    assert "held out" in report
    assert "384 images are few" in report
    assert "torch" in figures["versions"]


def test_few_photos_are_cropped_in_several_ways(whole: Path) -> None:
    manifest = json.loads((whole / "latents" / "manifest.json").read_text())
    assert manifest["images"] == 20
    held = json.loads((whole / "held_out" / "manifest.json").read_text())
    assert (held["images"], held["views"]) == (4, 2)
    assert held["classes"] == manifest["classes"]
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
    assert "a run was begun there; go on with --resume" in refused.stderr
    with pytest.raises(SmaltiError, match="begun by `smalti create`"):
        train(out / "latents", out, resume=True)
    subprocess.run(_create(photo_folder, out, "--resume"), capture_output=True, check=True)
    one, two = _weights(whole), _weights(out)
    assert one.keys() == two.keys()
    assert all((one[name] == two[name]).all() for name in one)  # pyright: ignore
    assert (out / "samples.png").read_bytes() == (whole / "samples.png").read_bytes()


@pytest.mark.soak
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
    for asked, says in (
        ({"seed": 1}, "seed 0, now 1"),
        ({"size": 32}, "size 16, now 32"),
        ({"images": 100}, "was begun for 384 images, now images 100"),
    ):
        with pytest.raises(SmaltiError, match=says):
            create(photo_folder, whole, replace(BEGUN, **asked), resume=True, device="cpu")


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which take the most time of a short `create`."""
    # By the names of modules, which functions of the same names hide.
    monkeypatch.setattr(sys.modules["smalti.recipes.create"], "_SAMPLES", 2)
    monkeypatch.setattr(sys.modules["smalti.recipes.samples"], "_PROGRESS_COUNT", 1)


@pytest.mark.usefixtures("few_samples")
def test_a_create_that_is_done_is_extended_and_its_record_says_so(
    whole: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(whole, tmp_path / "model")
    settings = replace(BEGUN, images=448, guard=False)
    create(photo_folder, out, settings, resume=True, device="cpu", log_with="tensorboard")
    assert list((out / "logs").glob("smalti/events*"))
    assert "goes on from image 384 to 448" in capsys.readouterr().out
    record = json.loads((out / "train.json").read_text())
    assert (record["parts"], record["images_trained"], record["weights_of"]) == ([384, 448], 448, 448)
    assert "which came to 384, 448 images" in (out / "report.html").read_text()
    one, two = _weights(whole), _weights(out)
    assert not all((one[name] == two[name]).all() for name in one if name.startswith("net."))  # pyright: ignore
    assert all((one[name] == two[name]).all() for name in one if name.startswith("refiner."))  # pyright: ignore


@pytest.mark.usefixtures("few_samples")
def test_a_create_that_the_guard_has_ended_is_not_said_to_go_on(
    whole: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(whole, tmp_path / "model")
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    with (out / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(last | {"held_out_loss": 90.0 + more}) + "\n" for more in range(3))
    create(photo_folder, out, replace(BEGUN, images=448), resume=True, device="cpu")
    said = capsys.readouterr().out
    assert "goes on from image" not in said
    assert "ended after 384 of 448 images" in said


@pytest.mark.usefixtures("few_samples")
def test_a_create_begins_with_another_model_and_keeps_its_codec_and_its_classes(
    whole: Path, photo_folder: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "model"
    shutil.copytree(photo_folder / "cats", photos / "cats")
    shutil.copytree(photo_folder / "others", photos / "apes")
    settings = CreateSettings(size=16, images=32, batch_size=16, checkpoint_every=32, refine=False)
    create(photos, out, settings, begin_with=whole, device="cpu")
    assert json.loads((out / "model_index.json").read_text())["classes"] == ["cats", "others", "apes"]
    codecs = [json.loads((folder / "latents" / "manifest.json").read_text()) for folder in (whole, out)]
    assert codecs[0]["codec_fingerprint"] == codecs[1]["codec_fingerprint"]
    assert json.loads((out / "create.json").read_text())["origin"]["model"] == str(whole)
    assert "Begun with the weights of" in (out / "report.html").read_text()
    with pytest.raises(SmaltiError, match=f"was begun from {whole}; resume with --from {whole}"):
        create(photos, out, settings, resume=True, device="cpu")
    with pytest.raises(SmaltiError, match="--codec does not go with --from"):
        create(photos, tmp_path / "other", replace(settings, codec="PQ-32-8-8"), begin_with=whole)
    assert not (tmp_path / "other").exists()


def test_a_create_that_is_told_to_end_before_it_trains_says_what_is_kept(
    photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any, **__: Any) -> None:
        raise Ended(2)

    monkeypatch.setattr(Plan, "made", end)
    with pytest.raises(Ended, match="what is done is kept: go on with --resume"):
        create(photo_folder, tmp_path / "model", BEGUN, device="cpu")
    assert (tmp_path / "model" / "latents" / "manifest.json").is_file()
