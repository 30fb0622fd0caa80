from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from smalti.codec import Codec
from smalti.diffusion import CategoricalSettings
from smalti.errors import SmaltiError
from smalti.nets import UNetSettings
from smalti.pipeline import SampleSettings, SmaltiPipeline, common_size
from smalti.pipeline.mixed import drawn_sizes, read_sizes
from smalti.schedulers import make_scheduler

SIZES = {(16, 16): 6, (12, 20): 3, (20, 12): 1}
SETTINGS = SampleSettings(steps=2, batch_size=3)


@pytest.fixture(scope="module")
def pipe(codec: Codec) -> SmaltiPipeline:
    counts = torch.ones(codec.codebooks.shape[:2], dtype=torch.int64)
    process = CategoricalSettings(k=2).build(codec, counts)
    settings = UNetSettings(width=32)
    table = process.coordinates.table
    net = settings.build(process.in_channels, process.out_channels, (4, 4), 2, table, 4)
    scheduler = make_scheduler(process.default_scheduler, process)
    rows = [[*size, images] for size, images in SIZES.items()]
    made = SmaltiPipeline(codec, process, net, scheduler, [16, 16], ["a", "b"], sizes=rows)
    made.set_progress_bar_config(disable=True)
    return made


def test_sizes_occur_as_often_as_in_training_and_follow_from_seed_and_number() -> None:
    drawn = drawn_sizes(SIZES, 3, range(5_000))
    counts = Counter(drawn)
    for size, images in SIZES.items():
        assert counts[size] / 5_000 == pytest.approx(images / 10, abs=0.03)  # four standard deviations
    assert drawn_sizes(SIZES, 3, [7, 2]) == [drawn[7], drawn[2]]


def test_a_picture_is_the_same_whichever_others_are_made(pipe: SmaltiPipeline) -> None:
    labels = [0, 1] * 6
    every = list(pipe.stream(12, SETTINGS, labels=labels))
    assert len(every) == 12
    assert [tuple(picture.shape[2:]) for picture in every] == drawn_sizes(SIZES, 0, range(12))
    for picture, again in zip(every[5:], pipe.stream(12, SETTINGS, labels=labels, numbers=range(5, 12)), strict=True):
        assert torch.equal(picture, again)
    size = (every[0].shape[2], every[0].shape[3])
    alone = next(pipe.stream(1, SETTINGS, labels=labels[:1], size=size))
    assert (every[0].int() - alone.int()).abs().float().mean() < 8  # but for what rounding decides


def test_pictures_come_in_the_order_that_they_are_asked_for_and_as_often(pipe: SmaltiPipeline) -> None:
    every = list(pipe.stream(12, SETTINGS))
    for numbers in ([3, 2, 1, 0], [1, 1], [11, 0, 7, 0, 11]):
        asked = list(pipe.stream(12, SETTINGS, numbers=numbers))
        assert all(torch.equal(one, every[number]) for one, number in zip(asked, numbers, strict=True))
    assert not list(pipe.stream(12, SETTINGS, numbers=[]))


def test_what_cannot_be_done_is_refused_before_any_picture_is_asked_for(pipe: SmaltiPipeline) -> None:
    with pytest.raises(SmaltiError, match="no class 'c'"):
        pipe.stream(2, SETTINGS, labels="c")
    with pytest.raises(TypeError, match="label"):
        pipe.stream(2, SETTINGS, label=[0, 1])  # pyright: ignore[reportCallIssue]


def test_a_guide_is_loaded_once_for_all_sizes(
    pipe: SmaltiPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.save_pretrained(tmp_path / "guide")
    load, loaded = SmaltiPipeline.from_pretrained, []

    def counted(*given: str) -> SmaltiPipeline:
        loaded.append(given)
        return load(*given)

    monkeypatch.setattr(SmaltiPipeline, "from_pretrained", counted)
    settings = replace(SETTINGS, guidance=2.0, guide=str(tmp_path / "guide"))
    made = list(pipe.stream(8, settings))
    assert len({tuple(picture.shape) for picture in made}) > 1
    assert len(loaded) == 1
    again = pipe.stream(8, replace(settings, guide=None), guide=load(str(tmp_path / "guide")))
    assert all(torch.equal(one, other) for one, other in zip(made, again, strict=True))


def test_a_size_that_is_asked_for_is_that_of_all(pipe: SmaltiPipeline) -> None:
    (batch,) = pipe.stream(2, SETTINGS, size=(12, 20))
    assert batch.shape == (2, 3, 12, 20)
    assert pipe(2, num_inference_steps=2, output_type="pt").images.shape == (2, 3, 16, 16)


def test_what_fits_into_pictures_of_all_sizes() -> None:
    assert common_size(SIZES, (16, 16)) == (12, 12)
    assert common_size({}, (16, 24)) == (16, 24)


@pytest.mark.parametrize("row", [[16, 16], [16, 16, 0], [-4, 16, 2], [16, "16", 2], [10**6, 10**6, 1]])
def test_an_index_that_names_no_sizes_is_refused(row: list) -> None:
    with pytest.raises(SmaltiError, match="its pictures are of"):
        read_sizes([row])
