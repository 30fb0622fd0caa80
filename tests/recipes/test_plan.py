from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smalti.errors import SmaltiError
from smalti.recipes import CreateSettings, Plan
from smalti.training import GeneratorSettings, RefinerSettings, TrainSettings

SETTINGS = CreateSettings(minutes=10.0)
PLAN = Plan(
    settings=SETTINGS,
    model=GeneratorSettings(),
    training=TrainSettings(images=5_000, warmup=500, ema_halflife=250, checkpoint_every=500),
    refiner=RefinerSettings(pairs=100),
    processes=1,
    images_per_second=10.0,
    minutes=10.0,  # 100 seconds of them for the refiner
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    PLAN.write(tmp_path / "create.json")
    return tmp_path / "create.json"


@pytest.mark.parametrize("asked", [{}, {"minutes": 10.0}, {"guard": False}])
def test_a_plan_that_is_read_again_is_the_same(path: Path, asked: dict[str, Any]) -> None:
    read = Plan.read(path, CreateSettings(**asked))
    assert read.training == PLAN.training
    assert read.minutes == PLAN.minutes
    read.write(path)
    assert Plan.read(path, CreateSettings()).settings.minutes == 10.0


@pytest.mark.parametrize(("asked", "images"), [({"minutes": 20.0}, 171 * 64), ({"images": 7_000}, 7_000)])
def test_more_minutes_or_images_extend_it_and_nothing_else_changes(
    path: Path, asked: dict[str, Any], images: int
) -> None:
    read = Plan.read(path, CreateSettings(**asked))
    assert read.training == replace(PLAN.training, images=images)
    assert read.minutes == pytest.approx(10 + (images - 5_000) / 600)
    assert read.refiner == PLAN.refiner
    read.write(path)
    assert Plan.read(path, CreateSettings(**asked)) == read
    assert Plan.read(path, CreateSettings()).training.images == images


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"images": 4_000}, "begun for 5000 images, now images 4000"),
        ({"minutes": 5.0}, "begun for 5000 images, now minutes 5, which are 1984 images"),
        ({"size": 32}, "size 64, now 32"),
        ({"held_out": 3}, "held out None, now 3"),
        ({"augment": True}, "augment False, now True"),
    ],
)
def test_less_or_otherwise_is_refused(path: Path, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(SmaltiError, match=says):
        Plan.read(path, CreateSettings(**asked))


def test_a_guard_without_photos_held_out_is_refused() -> None:
    with pytest.raises(SmaltiError, match="there is no guard"):
        CreateSettings(held_out=0, guard=False)


def test_what_is_going_to_happen_is_told_in_passes_over_the_photos() -> None:
    assert "5056 images (10.1 passes over 500 photos)" in PLAN.told(500)
    assert "passes over the photo)" in PLAN.told(1)
