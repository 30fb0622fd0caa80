from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from smalti.codec import Codec
from smalti.data import CropSettings, open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.recipes import PhotoSettings, encode, told_of_skipped


@pytest.fixture
def saved(codec: Codec, tmp_path: Path) -> str:
    codec.save_pretrained(tmp_path / "codec")
    return str(tmp_path / "codec")


def test_photos_are_encoded_as_they_are_asked_to_be_cropped(
    photo_folder: Path, codec: Codec, saved: str, tmp_path: Path
) -> None:
    crop = PhotoSettings(size=16, crop="random")
    latents = encode(str(photo_folder), saved, tmp_path / "latents", crop=crop, views=2, flips=False, seed=5)
    images = open_images(photo_folder, size=16, crop="random", seed=5)
    expected = encode_images(images, codec, tmp_path / "expected", views=2, flips=False, progress=False)
    assert latents.manifest == expected.manifest
    assert latents.manifest.crop == CropSettings(size=16, crop="random", seed=5)
    every = np.arange(48)
    assert torch.equal(latents[every], expected[every])


def test_views_of_one_crop_are_refused_before_anything_is_done(photo_folder: Path, saved: str, tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="3 views of the same crop"):
        encode(str(photo_folder), saved, tmp_path / "latents", views=3)
    assert not (tmp_path / "latents").exists()


def test_what_was_begun_is_cleared_and_that_is_said_but_not_what_another_process_writes(
    photo_folder: Path, saved: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, out, crop = tmp_path / ".latents.12345678.partial", tmp_path / "latents", PhotoSettings(size=16)
    left.mkdir()
    with FileLock(left.with_name(f"{left.name}.lock")), pytest.raises(SmaltiError, match="another process is writing"):
        encode(str(photo_folder), saved, out, crop=crop)
    assert "is cleared" not in capsys.readouterr().out
    with pytest.raises(SmaltiError, match="3 views of the same crop"):
        encode(str(photo_folder), saved, out, crop=crop, views=3)
    assert left.exists()
    encode(str(photo_folder), saved, out, crop=crop)
    assert f"{out}: what an encode before this had not finished is cleared" in capsys.readouterr().out
    assert not left.exists()


def test_grey_photos_are_opened_for_a_codec_of_one_plane(photo_folder: Path, tmp_path: Path) -> None:
    grey = Codec.fit(open_images(photo_folder, mode="L"), "RQ-4@4/4", patches=500, progress=False)
    grey.save_pretrained(tmp_path / "grey")
    latents = encode(str(photo_folder), str(tmp_path / "grey"), tmp_path / "latents", crop=PhotoSettings(size=16))
    assert latents.manifest.crop.mode == "L"


def test_of_many_photos_that_cannot_be_read_the_first_are_named() -> None:
    skipped = [(f"{number}.jpg", "cut short") for number in range(7)]
    said = told_of_skipped(skipped, 30)
    assert said.startswith("skipped 7 of 30 images: 0.jpg (cut short); 1.jpg")
    assert said.endswith("4.jpg (cut short) and 2 more")
    assert told_of_skipped(skipped[:1], 2) == "skipped 1 of 2 images: 0.jpg (cut short)"
    assert told_of_skipped([], 30) == ""
