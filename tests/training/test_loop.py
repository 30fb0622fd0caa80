import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from smalti.errors import SmaltiError
from smalti.model_folder import Run
from smalti.nets import BatchDropout
from smalti.signals import Ended
from smalti.training.ahead import Ahead
from smalti.training.learner import Batch, Learner
from smalti.training.loop import train
from smalti.training.settings import Precision, TrainSettings

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # helpers cannot import tests

SETTINGS = TrainSettings(
    images=64, batch_size=4, learning_rate=0.05, warmup=0, ema_halflife=8, checkpoint_every=16, log_every=8
)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), BatchDropout(0.3), nn.Tanh(), nn.Linear(8, 1))


def _checkpoints(out: Path) -> list[Path]:
    return Run(out).checkpoints


def _batches(numbers: Sequence[int]) -> Batch:
    x = torch.stack([torch.randn(3, generator=torch.Generator().manual_seed(n)) for n in numbers])
    return {"x": x, "y": x.sum(1)}


def _losses(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    error = model(batch["x"])[:, 0] - batch["y"]
    return {"square": error.square(), "absolute": 0.1 * error.abs()}


def _lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def _without_speed(out: Path) -> list[dict[str, float]]:
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in _lines(out)]


def test_training_lowers_the_loss_and_says_so(tmp_path: Path) -> None:
    train(_model(), _batches, _losses, replace(SETTINGS, images=1_000), tmp_path, device="cpu", progress=False)
    lines = _lines(tmp_path)
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert [line["images"] for line in lines] == list(range(8, 1_001, 8))
    for line in lines:
        assert line["loss"] == pytest.approx(line["square"] + line["absolute"], rel=1e-5)
        assert line["gradient_norm"] > 0


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_resumed_run_is_the_same_run_to_the_bit(tmp_path: Path, processes: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for out in (whole, parts):
        out.mkdir()
    options = {"device": "cpu", "processes": processes, "progress": False}
    expected = train(_model(), _batches, _losses, SETTINGS, whole, **options)

    class Killed(Exception):
        pass

    def kill(image: int, model: nn.Module) -> None:
        if image == 32:
            raise Killed

    with pytest.raises(Killed):
        train(_model(), _batches, _losses, SETTINGS, parts, on_images=kill, **options)
    other = _model()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    torch.manual_seed(12345)
    got = train(other, _batches, _losses, SETTINGS, parts, resume=True, **(options | {"processes": None}))
    for a, b in zip(expected.parameters(), got.parameters(), strict=True):
        assert torch.equal(a, b)
    assert _without_speed(whole) == _without_speed(parts)
    for name in ("model", "ema", "optimizer"):
        one, two = (load_file(_checkpoints(out)[-1] / f"{name}.safetensors") for out in (whole, parts))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(("processes", "number"), [(1, signal.SIGINT), (1, signal.SIGTERM), (2, signal.SIGTERM)])
def test_a_run_that_is_told_to_end_keeps_what_it_has(tmp_path: Path, processes: int, number: int) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for out in (whole, parts):
        out.mkdir()
    options = {"device": "cpu", "processes": processes, "progress": False}
    settings = replace(SETTINGS, checkpoint_every=1_000)
    expected = train(_model(), _batches, _losses, settings, whole, **options)
    here, handlers = os.getpid(), [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    def told(numbers: Sequence[int]) -> Batch:
        if os.getpid() == here and 20 in numbers:
            os.kill(here, number)
        return _batches(numbers)

    with pytest.raises(Ended, match="of 64 images is kept: go on with --resume") as ended:
        train(_model(), told, _losses, settings, parts, **options)
    assert ended.value.number == number
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    # The step that was under way is in it; several processes end where they write their next line.
    assert [int(path.name) for path in _checkpoints(parts)] == [24]
    got = train(_model(), _batches, _losses, settings, parts, resume=True, **options)
    for a, b in zip(expected.parameters(), got.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [line["images"] for line in _lines(parts)] == [line["images"] for line in _lines(whole)]


def test_a_crash_loses_no_more_than_some_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for out in (whole, parts):
        out.mkdir()
    monkeypatch.setattr("smalti.training.loop._MOST_SECONDS", -1.0)
    settings, options = replace(SETTINGS, checkpoint_every=1_000), {"device": "cpu", "progress": False}
    expected = train(_model(), _batches, _losses, settings, whole, **options)

    def crash(numbers: Sequence[int]) -> Batch:
        if 40 in numbers:
            raise MemoryError
        return _batches(numbers)

    with pytest.raises(MemoryError):
        train(_model(), crash, _losses, settings, parts, **options)
    assert [int(path.name) for path in _checkpoints(parts)] == [36, 40]
    got = train(_model(), _batches, _losses, settings, parts, resume=True, **options)
    for a, b in zip(expected.parameters(), got.parameters(), strict=True):
        assert torch.equal(a, b)


class _Kernels(nn.Module):
    """A network with kernels, which Muon takes as matrices."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 8, (1, 3), padding=(0, 1))
        self.dropout = BatchDropout(0.3)
        self.last = nn.Conv2d(8, 1, (1, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.dropout(self.first(x[:, None, None]).tanh()))[:, 0, 0]


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_several_processes_train_what_one_does(tmp_path: Path, processes: int) -> None:
    """Dropout among it: only the order of sums is another."""
    seen: list[int] = []
    trained = []
    for number in (1, processes):
        out = tmp_path / str(number)
        out.mkdir()
        options = {"device": "cpu", "processes": number, "progress": False}
        trained.append(
            train(_Kernels(), _batches, _losses, SETTINGS, out, on_images=lambda i, _: seen.append(i), **options)
        )
    assert seen == 2 * [16, 32, 48, 64]
    for one, several, before in zip(*(net.parameters() for net in (*trained, _Kernels())), strict=True):
        assert (one - several).norm() < 0.05 * (one - before).norm()
    losses = [[line["loss"] for line in _lines(tmp_path / str(number))] for number in (1, processes)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_batch_in_parts_has_the_gradient_and_the_loss_of_the_whole(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    whole = replace(SETTINGS, precision="fp32")  # in bfloat16 sums of other parts are rounded otherwise
    for settings in (whole, replace(whole, at_once=at_once)):
        asked: list[int] = []

        def batches(numbers: Sequence[int], asked: list[int] = asked) -> Batch:
            asked.append(len(numbers))
            return _batches(numbers)

        learner = Learner(_Kernels(), _losses, settings, "cpu")
        monkeypatch.setattr(learner.optimizer, "step", lambda rate: None)
        figures = learner.step(batches, 8)
        assert asked == {None: [4], 1: [1, 1, 1, 1], 3: [3, 1]}[settings.at_once]
        found.append([figures[name] for name in sorted(figures)] + [each.grad for each in learner.parameters])
    torch.testing.assert_close(found[1], found[0])


def test_a_run_goes_on_in_parts_that_fit_and_in_no_other_precision(tmp_path: Path) -> None:
    settings, options = replace(SETTINGS, precision="fp32"), {"device": "cpu", "progress": False}
    train(_model(), _batches, _losses, settings, tmp_path, **options)
    fitting = replace(settings, images=72, at_once=2)
    train(_model(), _batches, _losses, fitting, tmp_path, resume=True, **options)
    assert _lines(tmp_path)[-1]["images"] == 72
    with pytest.raises(SmaltiError, match="precision fp32, now bf16"):
        train(_model(), _batches, _losses, replace(fitting, precision="bf16"), tmp_path, resume=True, **options)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_network_computes_in_the_precision_that_is_asked_for(precision: Precision, dtype: torch.dtype) -> None:
    net, seen = _model(), []
    net.get_submodule("0").register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    learner = Learner(net, _losses, replace(SETTINGS, precision=precision), "cpu")
    learner.step(_batches, 0)
    assert seen == [dtype]
    assert {each.dtype for each in learner.parameters} == {torch.float32}


def test_a_network_that_cannot_compute_activations_again_is_refused() -> None:
    with pytest.raises(SmaltiError, match="a Sequential cannot compute its activations again"):
        Learner(_model(), _losses, replace(SETTINGS, recompute=True), "cpu")


def test_a_batch_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="does not divide among 3 processes"):
        train(_model(), _batches, _losses, SETTINGS, tmp_path, device="cpu", processes=3, progress=False)


def test_batches_made_ahead_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    for threads in (0, 3):
        out = tmp_path / str(threads)
        out.mkdir()
        monkeypatch.setattr("smalti.training.learner.Ahead", lambda _, threads=threads: Ahead(threads))
        settings = replace(SETTINGS, at_once=3)
        trained.append(train(_model(), _batches, _losses, settings, out, device="cpu", progress=False).state_dict())
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])


def test_the_averaged_weights_are_returned_and_shown_and_training_goes_on_with_its_own(tmp_path: Path) -> None:
    shown = {}

    def keep(image: int, model: nn.Module) -> None:
        assert not model.training
        shown[image] = {name: value.clone() for name, value in model.state_dict().items()}

    final = train(_model(), _batches, _losses, SETTINGS, tmp_path, on_images=keep, device="cpu", progress=False)
    assert list(shown) == [16, 32, 48, 64]
    for folder in _checkpoints(tmp_path):
        averaged, own = load_file(folder / "ema.safetensors"), load_file(folder / "model.safetensors")
        assert all(torch.equal(averaged[name], shown[int(folder.name)][name]) for name in averaged)
        assert any(not torch.equal(averaged[name], own[name]) for name in averaged)
    assert all(torch.equal(value, shown[64][name]) for name, value in final.state_dict().items())


def test_the_last_two_checkpoints_are_kept_and_none_is_pickled(tmp_path: Path) -> None:
    train(_model(), _batches, _losses, SETTINGS, tmp_path, device="cpu", progress=False)
    assert [folder.name for folder in _checkpoints(tmp_path)] == ["000000000048", "000000000064"]
    assert {path.suffix for path in (tmp_path / "checkpoints").rglob("*.*")} == {".safetensors", ".json"}


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    def explode(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        terms = _losses(model, batch)
        return {
            name: term / 0 if torch.equal(batch["x"], _batches(range(40, 44))["x"]) else term
            for name, term in terms.items()
        }

    with pytest.raises(SmaltiError, match=r"no longer finite.*learning rate"):
        train(_model(), _batches, explode, SETTINGS, tmp_path, device="cpu", progress=False)
    good = _checkpoints(tmp_path)[-1]
    assert good.name == "000000000032"
    assert all(tensor.isfinite().all() for tensor in load_file(good / "model.safetensors").values())


def test_a_run_goes_back_and_on_at_half_the_rate_where_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At image 40 the loss is no number at more than a fifth of the learning rate, which three halves are not."""
    rates: list[float] = []
    rate_at = Learner.learning_rate_at

    def seen(learner: Learner, image: int) -> float:
        rates.append(rate_at(learner, image))
        return rates[-1]

    monkeypatch.setattr(Learner, "learning_rate_at", seen)
    settings = replace(SETTINGS, on_non_finite="halve", decay=0.0)

    def explode(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        terms = _losses(model, batch)
        wrong = torch.equal(batch["x"], _batches(range(40, 44))["x"]) and rates[-1] > settings.learning_rate / 5
        return {name: term * float("nan") if wrong else term for name, term in terms.items()}

    options = {"device": "cpu", "progress": False}
    final = train(_model(), _batches, explode, settings, tmp_path, **options)
    said = capsys.readouterr().err
    assert said.count("no longer finite at image 48; going on from image 32") == 3
    assert all(parameter.isfinite().all() for parameter in final.parameters())
    lines = _lines(tmp_path)
    assert [line["images"] for line in lines] == list(range(8, 65, 8))
    assert [line["learning_rate"] for line in lines] == [0.05] * 4 + [0.05 / 8] * 4
    # What is resumed goes on at that rate, and a stopped run may be told to.
    longer = replace(settings, images=96)
    train(_model(), _batches, explode, longer, tmp_path, resume=True, **options)
    assert _lines(tmp_path)[-1]["learning_rate"] == 0.05 / 8


def test_a_run_that_was_stopped_may_be_told_to_go_back(tmp_path: Path) -> None:
    def explode(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        terms = _losses(model, batch)
        wrong = torch.equal(batch["x"], _batches(range(4))["x"])
        return {name: term * float("nan") if wrong else term for name, term in terms.items()}

    options = {"device": "cpu", "progress": False}
    with pytest.raises(SmaltiError, match="--on-non-finite halve"):
        train(_model(), _batches, explode, SETTINGS, tmp_path, **options)
    halved = replace(SETTINGS, on_non_finite="halve")
    with pytest.raises(SmaltiError, match="nor was it at a thousandth of the learning rate"):
        train(_model(), _batches, explode, halved, tmp_path, resume=True, **options)
    assert [int(path.name) for path in _checkpoints(tmp_path)] == [0]
    train(_model(), _batches, _losses, SETTINGS, tmp_path, resume=True, **options)


def test_no_checkpoint_is_written_of_weights_that_are_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gradient may be none where the loss still is one: at the root of 0."""
    monkeypatch.setattr("smalti.training.loop._MOST_SECONDS", -1.0)

    def explode(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        terms = _losses(model, batch)
        if torch.equal(batch["x"], _batches(range(20, 24))["x"]):
            terms["square"] = terms["square"] + (0 * terms["square"]).sqrt()
        return terms

    with pytest.raises(SmaltiError, match="no longer finite at image 24"):
        train(_model(), _batches, explode, SETTINGS, tmp_path, device="cpu", progress=False)
    assert [int(path.name) for path in _checkpoints(tmp_path)] == [16, 20]
    for path in _checkpoints(tmp_path):
        for name in ("model", "ema"):
            assert all(tensor.isfinite().all() for tensor in load_file(path / f"{name}.safetensors").values())


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("model", lambda tensor: tensor[..., :1].clone(), "of shape"),
        ("model", lambda tensor: tensor.double(), "float64"),
        ("ema", lambda tensor: tensor * float("nan"), "no number"),
        ("optimizer", lambda tensor: tensor * float("inf"), "no number"),
        ("optimizer", lambda tensor: torch.zeros(3, 3, 3), "of shape"),
    ],
)
def test_a_checkpoint_of_other_tensors_is_refused(
    tmp_path: Path, name: str, change: Callable[[Tensor], Tensor], says: str
) -> None:
    options = {"device": "cpu", "progress": False}
    train(_model(), _batches, _losses, replace(SETTINGS, images=16), tmp_path, **options)
    (folder,) = _checkpoints(tmp_path)
    file = folder / f"{name}.safetensors"
    tensors = load_file(file)
    first = max(tensors, key=lambda key: tensors[key].ndim)
    save_file(tensors | {first: change(tensors[first])}, file)
    state = json.loads((folder / "state.json").read_text())
    del state["digest"], state["digests"]
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(SmaltiError, match=f"of another network.*{says}"):
        train(_model(), _batches, _losses, SETTINGS, tmp_path, resume=True, **options)


@pytest.mark.parametrize("entries", [{"image": "many"}, {"ema_steps": -1}, {"begun": []}, {"digests": 3}], ids=str)
def test_a_state_of_other_types_is_refused(tmp_path: Path, entries: dict[str, Any]) -> None:
    options = {"device": "cpu", "progress": False}
    train(_model(), _batches, _losses, replace(SETTINGS, images=16), tmp_path, **options)
    path = _checkpoints(tmp_path)[0] / "state.json"
    state = json.loads(path.read_text()) | entries
    del state["digest"]
    path.write_text(json.dumps(state))
    with pytest.raises(SmaltiError, match=str(tmp_path)):
        train(_model(), _batches, _losses, SETTINGS, tmp_path, resume=True, **options)


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"device": "cpu", "progress": False}
    whole = train(_model(), _batches, _losses, SETTINGS, tmp_path, **options).state_dict()
    lines = _without_speed(tmp_path)
    newest = _checkpoints(tmp_path)[-1]
    (newest / name).write_bytes((newest / name).read_bytes()[:20])
    again = train(_model(), _batches, _losses, SETTINGS, tmp_path, resume=True, **options).state_dict()
    assert f"{newest}: the checkpoint is damaged; going on from image 48" in capsys.readouterr().err
    assert all(torch.equal(again[key], whole[key]) for key in whole)
    assert _without_speed(tmp_path) == lines
    for folder in _checkpoints(tmp_path):
        (folder / name).write_bytes((folder / name).read_bytes()[:20])
    with pytest.raises(SmaltiError, match="no checkpoint is whole"):
        train(_model(), _batches, _losses, SETTINGS, tmp_path, resume=True, **options)
    shutil.rmtree(tmp_path / "checkpoints")
    train(_model(), _batches, _losses, SETTINGS, tmp_path, resume=True, device="cpu", progress=False)
    assert len(_lines(tmp_path)) == 8


def test_a_run_goes_on_for_longer_and_not_with_other_settings(tmp_path: Path) -> None:
    train(_model(), _batches, _losses, SETTINGS, tmp_path, device="cpu", progress=False)
    longer = replace(SETTINGS, images=96)
    train(_model(), _batches, _losses, longer, tmp_path, resume=True, device="cpu", progress=False)
    assert _lines(tmp_path)[-1]["images"] == 96
    other = replace(longer, learning_rate=0.1)
    with pytest.raises(SmaltiError, match=r"learning rate 0\.05, now 0\.1"):
        train(_model(), _batches, _losses, other, tmp_path, resume=True, device="cpu", progress=False)


def test_a_checkpoint_of_an_earlier_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    train(_model(), _batches, _losses, SETTINGS, tmp_path, device="cpu", progress=False)
    path = _checkpoints(tmp_path)[-1] / "state.json"
    path.write_text(json.dumps({"format_version": 1, "image": 64, "ema_steps": 16, "settings": {}}))
    with pytest.raises(SmaltiError, match="another version of smalti"):
        train(_model(), _batches, _losses, SETTINGS, tmp_path, resume=True, device="cpu", progress=False)


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    options = {"device": "cpu", "progress": False}
    train(_model(), _batches, _losses, SETTINGS, tmp_path, begun={"photos": "these"}, **options)
    with pytest.raises(SmaltiError, match="photos these, now those"):
        train(_model(), _batches, _losses, SETTINGS, tmp_path, begun={"photos": "those"}, resume=True, **options)


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="abacus"):
        train(_model(), _batches, _losses, SETTINGS, tmp_path, device="abacus", progress=False)
