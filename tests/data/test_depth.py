"""Grey of more than 8 bits: one range for all pictures of a source."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.data import open_images
from smalti.errors import SmaltiError

RAMP = np.arange(64, dtype=np.uint16).reshape(8, 8)


def _folder(folder: Path, *highest: int) -> Path:
    for number, each in enumerate(highest):
        Image.fromarray((RAMP * (each / 63)).round().astype(np.uint16)).save(folder / f"{number:03d}.png")
    return folder


def test_a_dark_picture_stays_darker_than_a_bright_one(tmp_path: Path) -> None:
    dark, bright, black = open_images(_folder(tmp_path, 4_000, 65_535, 200), mode="L")
    assert int(bright.max()) == 255
    assert int(dark.max()) == round(4_000 / 65_535 * 255)
    assert int(black.max()) == round(200 / 65_535 * 255)


def test_the_range_is_that_of_the_source_whichever_pictures_are_chosen(tmp_path: Path) -> None:
    images = open_images(_folder(tmp_path, 4_000, 65_535, 200), mode="L")
    whole = dict(zip(images.names, images, strict=True))
    for seed in range(3):
        few = images.sample(1, seed)
        assert torch.equal(next(iter(few)), whole[few.names[0]])


def test_twelve_bits_of_a_whole_source_are_as_bright_as_eight(tmp_path: Path) -> None:
    assert [int(pixels.max()) for pixels in open_images(_folder(tmp_path, 4_095, 2_048), mode="L")] == [255, 128]


def test_a_picture_beyond_what_others_told_is_named_and_not_cut(tmp_path: Path) -> None:
    heights = [200] * 130  # each third is looked at
    heights[1] = 60_000
    images = open_images(_folder(tmp_path, *heights), mode="L")
    assert len(list(images)) == 129
    ((name, reason),) = images.skipped
    assert name == "001.png"
    assert "from 0 to 60000" in reason
    with pytest.raises(SmaltiError, match=r"001\.png"):
        list(open_images(tmp_path, mode="L", strict=True))


def test_what_cannot_be_read_says_so_where_it_is_decoded(tmp_path: Path) -> None:
    images = open_images(_folder(tmp_path, 4_095, 2_048), mode="L")
    (tmp_path / "000.png").write_bytes(b"nothing")
    assert len(list(images)) == 1
    assert [name for name, _ in images.skipped] == ["000.png"]
