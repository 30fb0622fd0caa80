"""Runs that are extended, and runs that end before they learn by heart."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from smalti.errors import SmaltiError
from smalti.model_folder import Run
from smalti.training import HeldOutLoss
from smalti.training.checkpoints import parts_of
from smalti.training.held_out import PATIENCE
from smalti.training.learner import Batch
from smalti.training.loop import train
from smalti.training.settings import TrainSettings

SETTINGS = TrainSettings(
    images=64, batch_size=4, learning_rate=0.05, warmup=8, ema_halflife=8, checkpoint_every=16, log_every=4
)
OPTIONS: dict[str, Any] = {"device": "cpu", "progress": False}


class Killed(Exception):
    pass


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def _batches(numbers: Sequence[int]) -> Batch:
    x = torch.stack([torch.randn(3, generator=torch.Generator().manual_seed(n)) for n in numbers])
    return {"x": x, "y": x.sum(1)}


def _losses(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    return {"square": (model(batch["x"])[:, 0] - batch["y"]).square()}


def _train(out: Path, settings: TrainSettings = SETTINGS, **more: Any) -> dict[str, Tensor]:
    out.mkdir(exist_ok=True)
    return train(_model(), _batches, _losses, settings, out, **OPTIONS, **more).state_dict()


def _lines(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


def _killed_at(image: int) -> Callable[[int, nn.Module], None]:
    def kill(at: int, _: nn.Module) -> None:
        if at == image:
            raise Killed

    return kill


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_in_an_extended_run_the_rate_rises_and_falls_again_and_its_record_says_how_far_each_part_went(
    tmp_path: Path,
) -> None:
    _train(tmp_path)
    assert parts_of(Run(tmp_path)) == [64]
    _train(tmp_path, replace(SETTINGS, images=128), resume=True)
    rates = [line["learning_rate"] for line in _lines(tmp_path)]
    assert [line["images"] for line in _lines(tmp_path)] == list(range(4, 129, 4))
    assert rates[:16] == pytest.approx(rates[16:])  # two parts of one length
    assert max(rates) == SETTINGS.learning_rate
    assert rates[15] < 0.3 * SETTINGS.learning_rate
    assert parts_of(Run(tmp_path)) == [64, 128]
    _train(tmp_path, replace(SETTINGS, images=160), resume=True)
    assert parts_of(Run(tmp_path)) == [64, 128, 160]


def test_an_extended_run_that_is_interrupted_is_the_same_run_to_the_bit(tmp_path: Path) -> None:
    longer = replace(SETTINGS, images=128)
    _train(tmp_path / "whole")
    whole = _train(tmp_path / "whole", longer, resume=True)
    _train(tmp_path / "parts")
    with pytest.raises(Killed):
        _train(tmp_path / "parts", longer, resume=True, on_images=_killed_at(96))
    assert _same(_train(tmp_path / "parts", longer, resume=True), whole)
    assert _lines(tmp_path / "parts") == _lines(tmp_path / "whole")


def test_what_is_extended_before_its_rate_falls_is_what_it_had_been_if_begun_for_longer(tmp_path: Path) -> None:
    longer = replace(SETTINGS, images=128)
    whole = _train(tmp_path / "whole", longer)
    with pytest.raises(Killed):
        _train(tmp_path / "parts", on_images=_killed_at(32))
    assert _same(_train(tmp_path / "parts", longer, resume=True), whole)
    assert parts_of(Run(tmp_path / "parts")) == [128]


def test_a_run_is_not_resumed_to_fewer_images_than_it_was_begun_for(tmp_path: Path) -> None:
    _train(tmp_path)
    with pytest.raises(SmaltiError, match=r"begun for 64 images, and trained on 64; ask for as many or more"):
        _train(tmp_path, replace(SETTINGS, images=48), resume=True)
    before = _lines(tmp_path)
    _train(tmp_path, resume=True)
    assert _lines(tmp_path) == before


class _Loss:
    """A loss on held-out photos that falls to the second checkpoint and rises from there on."""

    def __init__(self, lowest: int = 2):
        self.lowest = lowest

    def __call__(self, image: int) -> float:
        return 1 + abs(image // SETTINGS.checkpoint_every - self.lowest) / 10


def _guarded(out: Path, settings: TrainSettings, *, kill: int = 0, resume: bool = False, guard: bool = True) -> int:
    """Train with a guard; return the images seen at last."""
    measured = HeldOutLoss.read(out / "metrics.jsonl").images if resume else []
    seen = [measured[-1] if measured else 0]

    def held_out() -> float:
        seen[0] += SETTINGS.checkpoint_every
        return _Loss()(seen[0])

    def on_images(image: int, _: nn.Module) -> None:
        seen[0] = image
        if image == kill:
            raise Killed

    _train(out, settings, held_out=held_out, guard=guard, on_images=on_images, resume=resume)
    return Run(out).trained


def test_the_guard_ends_a_run_whose_loss_on_held_out_photos_rises_and_without_it_the_run_goes_on(
    tmp_path: Path,
) -> None:
    longer = replace(SETTINGS, images=160)
    ended = 16 * (2 + PATIENCE)
    assert _guarded(tmp_path, longer) == ended
    measured = HeldOutLoss.read(tmp_path / "metrics.jsonl")
    assert measured.lowest == (32, 1.0)
    assert measured.images == list(range(16, ended + 1, 16))
    assert _guarded(tmp_path, longer, resume=True) == ended
    assert _guarded(tmp_path, replace(longer, images=320), resume=True) == ended
    assert _guarded(tmp_path, longer, resume=True, guard=False) == 160


@pytest.mark.parametrize("kill", [32, 80])
def test_a_guarded_run_that_is_killed_measures_and_ends_as_if_it_had_not_been(tmp_path: Path, kill: int) -> None:
    longer = replace(SETTINGS, images=160)
    _guarded(tmp_path / "whole", longer)
    with pytest.raises(Killed):
        _guarded(tmp_path / "parts", longer, kill=kill)
    _guarded(tmp_path / "parts", longer, resume=True)
    assert _lines(tmp_path / "parts") == _lines(tmp_path / "whole")
    one, two = (load_file(Run(tmp_path / name).checkpoints[-1] / "ema.safetensors") for name in ("whole", "parts"))
    assert _same(one, two)


def test_what_is_done_at_a_checkpoint_is_done_again_where_a_run_may_have_been_killed_before(tmp_path: Path) -> None:
    """Or the weights of the lowest loss would be missing: the checkpoint is written before."""
    with pytest.raises(Killed):
        _train(tmp_path, on_images=_killed_at(32), held_out=lambda: 1.0)
    seen: list[int] = []
    _train(tmp_path, resume=True, on_images=lambda image, _: seen.append(image), held_out=lambda: 1.0)
    assert seen == [32, 48, 64]


def test_to_measure_what_is_held_out_does_not_change_what_is_trained(tmp_path: Path) -> None:
    def drawing() -> float:
        return float(torch.rand(()))

    assert _same(_train(tmp_path / "one", held_out=drawing), _train(tmp_path / "other"))
