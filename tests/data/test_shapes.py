import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from smalti.data import CropSettings, open_images
from smalti.data.pictures import decode_picture, shape_of
from smalti.data.shapes import common_sizes
from smalti.errors import SmaltiError
from smalti.pixels import PixelFormat
from smalti.records import from_record, to_record
from smalti.sizes import nearest_size, sizes_like

Shape = tuple[int, int]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_shape_is_that_of_the_decoded_picture(kind: str, orientation: int) -> None:
    exif, content = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(content, kind, exif=exif)
    decoded = decode_picture(content.getvalue(), CropSettings())
    assert shape_of(content.getvalue(), "RGB") == decoded.shape[1:]


def test_a_large_photo_that_is_decoded_at_a_fraction_takes_the_size_of_its_own_shape() -> None:
    exif, content = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.zeros((1200, 1600, 3), np.uint8)).save(content, "JPEG", exif=exif)
    settings = CropSettings(size=64, sizes=tuple(sizes_like(64, 4)))
    assert decode_picture(content.getvalue(), settings).shape[1:] == nearest_size((1600, 1200), settings.sizes)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=60))
def test_sizes_in_common_have_a_twentieth_of_the_photos_each_and_the_most_frequent_is_first(
    shapes: list[Shape],
) -> None:
    sizes = common_sizes(shapes, sizes_like(64, 4))
    counts = Counter(nearest_size(shape, sizes) for shape in shapes)

    assert [counts[size] for size in sizes] == sorted(counts.values(), reverse=True)
    assert len(sizes) == 1 or min(counts.values()) >= max(1, 0.05 * len(shapes))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    shapes = [(60, 40)] * 3 + [(40, 60)] * 4 + [(48, 48)] * 6
    for number, shape in enumerate(shapes):
        Image.fromarray(np.full((*shape, 3), number, np.uint8)).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def test_every_photo_is_of_one_size_and_that_which_it_is_cropped_to(mixed: Path) -> None:
    images = open_images(mixed, size=32).keeping_shapes(4)
    assert set(images.settings.sizes) == {(32, 32), (36, 28), (28, 36)}
    parts = images.by_size()
    assert sorted(name for part in parts.values() for name in part.names) == sorted(images.names)
    assert "bad.png" in parts[images.settings.sizes[0]].names
    together = {picture.name: picture.pixels for picture in images.pictures()}
    alone = {picture.name: picture.pixels for part in parts.values() for picture in part.pictures()}
    assert {name: tuple(pixels.shape[1:]) for name, pixels in alone.items()} == {
        name: size for size, part in parts.items() for name in part.names if name != "bad.png"
    }
    assert together.keys() == alone.keys()
    assert all(torch.equal(together[name], alone[name]) for name in alone)
    assert images.split(5)[0].settings == images.settings  # so that what is held out is of these sizes


def test_photos_of_about_one_shape_are_cropped_to_one_size(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / f"{number}.png")
    settings = open_images(tmp_path, size=32).keeping_shapes(4).settings
    assert (settings.size, settings.sizes) == ((28, 36), ())


def test_bands_keep_their_shapes(tmp_path: Path) -> None:
    form = PixelFormat(planes=2, highest=9)
    for number, shape in enumerate([(2, 60, 40), (2, 40, 60)]):
        np.save(tmp_path / f"{number}.npy", np.ones(shape, np.int16))
    images = open_images(tmp_path, size=32, mode=form).keeping_shapes(4)
    assert [tuple(pixels.shape) for pixels in images] == [(2, 36, 28), (2, 28, 36)]


def test_shapes_are_kept_of_the_area_of_a_square(mixed: Path) -> None:
    for size in (None, (32, 40)):
        with pytest.raises(SmaltiError, match="give --size one number"):
            open_images(mixed, size=size).keeping_shapes(4)


def test_several_sizes_without_their_area_are_refused() -> None:
    with pytest.raises(SmaltiError, match="several sizes are of the area of one"):
        CropSettings(sizes=((32, 32), (28, 36)))


def test_sizes_are_written_and_read_again() -> None:
    for settings in (CropSettings(size=32), CropSettings(size=32, sizes=((32, 32), (28, 36)))):
        assert from_record(CropSettings, to_record(settings), "a file") == settings
    assert "sizes" not in repr(CropSettings(size=32))  # fingerprints of before stay what they are
