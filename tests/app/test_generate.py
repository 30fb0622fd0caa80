from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from smalti.app import Subject
from smalti.app.generate import generate
from smalti.app.shared import Asked
from smalti.errors import SmaltiError
from smalti.model_folder import ModelFolder
from smalti.pipeline import SampleSettings, SmaltiPipeline

FEW = Asked(settings=SampleSettings(steps=2, seed=3), count=4, labels=[0, 0, 1, 2])


def test_the_same_seed_gives_the_same_pictures_with_their_classes_and_in_a_grid(pipe: SmaltiPipeline) -> None:
    (pictures, sheet), (again, _) = generate(pipe, FEW), generate(pipe, FEW)
    assert [name for _, name in pictures] == ["cats", "cats", "dogs", "owls"]
    assert all(image.size == (24, 16) for image, _ in pictures)
    for (one, _), (other, _) in zip(pictures, again, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    with Image.open(sheet) as grid:
        assert grid.size == (2 * 26 + 2, 2 * 18 + 2)
        assert np.array_equal(np.asarray(grid)[2:18, 2:26], np.asarray(pictures[0][0]))
    others, _ = generate(pipe, replace(FEW, settings=replace(FEW.settings, seed=4)))
    assert not np.array_equal(np.asarray(others[0][0]), np.asarray(pictures[0][0]))


def test_a_model_of_several_sizes_shows_each(pipe: SmaltiPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "sizes", {(16, 24): 2, (24, 16): 1})
    asked = replace(FEW, count=6, labels=None)
    pictures, sheet = generate(pipe, asked)
    assert {image.size for image, _ in pictures} == {(24, 16), (16, 24)}
    with Image.open(sheet) as grid:
        assert grid.size == (3 * 26 + 2, 2 * 26 + 2)
    assert Subject(ModelFolder("a run"), pipe).told.startswith("16x24, 24x16 pixels, ")


def test_guidance_without_a_class_is_refused(pipe: SmaltiPipeline) -> None:
    with pytest.raises(SmaltiError, match="guidance needs labels"):
        generate(pipe, Asked(settings=SampleSettings(steps=2, guidance=2.0), count=1, labels=None))
