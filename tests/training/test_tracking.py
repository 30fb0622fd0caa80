"""What a tracker gets, read back from real event files of TensorBoard."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from smalti.cli import main
from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.model_folder import ModelFolder
from smalti.recipes import publish
from smalti.training import Batches, RefinerSettings, TrainSettings, require_tracker, train, train_refiner

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # helpers cannot import tests

SETTINGS = TrainSettings(images=32, batch_size=4, warmup=0, ema_halflife=8, checkpoint_every=16, log_every=8)


def _batches(numbers: Sequence[int]) -> dict[str, Tensor]:
    return {"x": torch.tensor(numbers, dtype=torch.float32)[:, None] / 32}


def _losses(model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"square": (model(batch["x"]) - 1)[:, 0].square()}


def _grid(image: int, model: nn.Module) -> Image.Image:
    return Image.new("RGB", (3, 2), (image, 0, 255))


def _train(out: Path, settings: TrainSettings = SETTINGS, batches: Batches = _batches, **options: Any) -> None:
    out.mkdir(exist_ok=True)
    torch.manual_seed(0)
    options = {"device": "cpu", "progress": False, "on_images": _grid, **options}
    train(nn.Linear(1, 1), batches, _losses, settings, out, **options)


def _events(logs: Path) -> EventAccumulator:
    """All that was logged, without the settings, which lie in folders of their own."""
    return EventAccumulator(str(logs / "smalti"), {"scalars": 0, "images": 0}).Reload()


def _require_lines_logged(run: Path) -> None:
    """The tracker has the numbers of `metrics.jsonl` at the same images, once each, and no others."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    events = _events(run / "logs")
    names = {name for line in lines for name, value in line.items() if isinstance(value, float)}
    assert {"loss", "learning_rate", "images_per_second"} <= names
    assert set(events.Tags()["scalars"]) == names
    for name in names:
        expected = [(line["images"], pytest.approx(line[name], rel=1e-6)) for line in lines if name in line]
        assert [(event.step, event.value) for event in events.Scalars(name)] == expected


def _pictures(run: Path) -> dict[int, np.ndarray]:
    """The pictures by their steps."""
    shown = {event.step: event.encoded_image_string for event in _events(run / "logs").Images("samples")}
    return {step: np.asarray(Image.open(BytesIO(encoded))) for step, encoded in shown.items()}


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_tracker_gets_every_line_and_every_picture_once(tmp_path: Path, processes: int) -> None:
    _train(tmp_path, log_with="tensorboard", held_out=lambda: 2.5, processes=processes)
    _require_lines_logged(tmp_path)
    assert [event.value for event in _events(tmp_path / "logs").Scalars("held_out_loss")] == [2.5, 2.5]
    assert {step: tuple(picture[0, 0]) for step, picture in _pictures(tmp_path).items()} == {
        16: (16, 0, 255),
        32: (32, 0, 255),
    }
    (settings,) = (tmp_path / "logs").rglob("hparams.yml")  # of the main process alone
    assert yaml.safe_load(settings.read_text()).items() >= {"batch_size": 4, "optimizer": "muon"}.items()
    (events,) = (tmp_path / "logs" / "smalti").glob("*/events*")
    assert "_hparams_/session_start_info" in EventAccumulator(str(events)).Reload().PluginTagToContent("hparams")


def test_a_resumed_run_goes_on_in_its_log_and_one_that_begins_again_in_a_new_one(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(numbers: Sequence[int]) -> dict[str, Tensor]:
        if 28 in numbers:
            raise Killed
        return _batches(numbers)

    with pytest.raises(Killed):
        _train(tmp_path, batches=kill, log_with="tensorboard")
    key = (tmp_path / "logs" / "id").read_text()
    assert [event.step for event in _events(tmp_path / "logs").Scalars("loss")] == [8, 16, 24]  # the last is lost
    _train(tmp_path, replace(SETTINGS, images=40), resume=True, log_with="tensorboard")
    _require_lines_logged(tmp_path)
    assert list(_pictures(tmp_path)) == [16, 32, 40]
    assert (tmp_path / "logs" / "id").read_text() == key
    _train(tmp_path, log_with="tensorboard")
    _require_lines_logged(tmp_path)
    assert (tmp_path / "logs" / "id").read_text() != key


def test_without_one_nothing_is_written_and_nothing_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorboard", "torch.utils.tensorboard", "trackio", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)  # whose import fails
    monkeypatch.delattr("torch.utils.tensorboard", raising=False)
    _train(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "checkpoints", "metrics.jsonl"}


def test_a_tracker_that_is_missing_is_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.training.tracking.get_available_trackers", list)
    for verb in (["train", "latents"], ["create", "PHOTOS"]):
        assert main([*verb, "--out", str(tmp_path / "run"), "--log-with", "wandb"]) == 2
        assert capsys.readouterr().err.endswith(
            "logging with wandb takes the package wandb, which is not installed; pip install wandb.\n"
        )
    assert main(["refine", "PHOTOS", "--model", str(tmp_path), "--log-with", "trackio"]) == 2
    assert "pip install trackio" in capsys.readouterr().err
    with pytest.raises(SmaltiError, match="'csv' is no tracker; take tensorboard, trackio or wandb"):
        require_tracker("csv")
    assert list(tmp_path.iterdir()) == []


def test_one_that_does_not_begin_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no folder")
    with pytest.raises(SmaltiError, match=r"tensorboard cannot log .*; mend that, or leave the tracker out"):
        _train(tmp_path, log_with="tensorboard")


def test_a_generator_and_its_refiner_are_logged_in_the_model_folder_and_not_published(
    photo_folder: Path, codec: Codec, tmp_path: Path
) -> None:
    photos = open_images(photo_folder, size=16)
    latents = encode_images(photos, codec, tmp_path / "latents", progress=False)
    run = tmp_path / "run"
    command = ["train", str(latents.folder), "--out", str(run), "--width", "32", "--images", "8", "--batch-size", "4"]
    assert main([*command, "--device", "cpu", "--processes", "1", "--log-with", "tensorboard"]) == 0
    _require_lines_logged(run)
    (shown,) = _pictures(run).values()
    assert np.array_equal(shown, np.asarray(Image.open(ModelFolder(run).progress(8)).convert("RGB")))
    settings = RefinerSettings(pairs=4, pairs_a_step=2, network_width=8, network_blocks=1)
    train_refiner(run, photos, settings, device="cpu", log_with="tensorboard", progress=False)
    _require_lines_logged(run / "refining")
    publish(run, "owner/name", out=tmp_path / "published")
    assert not list((tmp_path / "published").rglob("logs"))
