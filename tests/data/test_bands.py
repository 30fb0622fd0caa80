"""Pictures whose values are taken as they are: files of every kind, and what is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from smalti.data import open_images
from smalti.data.bands import read_bands
from smalti.errors import SmaltiError
from smalti.pixels import PixelFormat

DEEP = PixelFormat(planes=13, highest=40_000)
BANDS = np.random.default_rng(0).integers(0, 40_001, (13, 9, 7)).astype(np.uint16)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _tiff(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def _pillow(array: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        _npy(BANDS),
        _npy(np.moveaxis(BANDS, 0, 2)),
        _npy(np.asfortranarray(BANDS)),
        _npy(BANDS.astype(">i4")),
        _tiff(BANDS, photometric="minisblack"),
        _tiff(np.moveaxis(BANDS, 0, 2), planarconfig="contig", photometric="minisblack"),
        _tiff(BANDS, photometric="minisblack", bigtiff=True, compression="zlib"),
    ],
)
def test_bands_of_any_file_are_those_that_were_written(content: bytes) -> None:
    np.testing.assert_array_equal(read_bands(content, DEEP), BANDS)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_all_there(kind: str) -> None:
    form = PixelFormat(planes=1, highest=65_535)
    np.testing.assert_array_equal(read_bands(_pillow(BANDS[0], kind), form), BANDS[:1])


def _deep_colour_png() -> bytes:
    content = bytearray(_pillow(np.zeros((4, 4, 3), np.uint8), "PNG"))
    content[24] = 16
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "planes", "said"),
    [
        (_npy(BANDS[:12]), 13, "not that of 13 planes"),
        (_npy(BANDS.astype(np.float32)), 13, "whole numbers"),
        (_npy(BANDS.astype(np.int64) * 1000), 13, "values are from 12000 to 39923000"),
        (_npy(BANDS)[:-1], 13, r"buffer size|reshape"),
        (_npy(BANDS[:, :0]), 13, "1 to 500,000,000"),
        (_deep_colour_png(), 3, "of which 8 are read"),
    ],
)
def test_what_is_no_such_picture_is_told(content: bytes, planes: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_bands(content, PixelFormat(planes=planes, highest=40_000))


def test_a_header_that_claims_much_takes_no_memory() -> None:
    content = _npy(BANDS).replace(b"(13, 9, 7)", b"(13, 99999, 99999)".ljust(10))
    with pytest.raises(ValueError, match=r"buffer size|reshape|header"):
        read_bands(content, DEEP)


@pytest.mark.parametrize("suffix", ["npy", "tif"])
def test_a_folder_of_bands_is_read_with_classes_and_types_of_the_format(suffix: str, tmp_path: Path) -> None:
    for number in range(4):
        place = tmp_path / ("forest" if number % 2 else "water")
        place.mkdir(exist_ok=True)
        content = _npy(BANDS + number) if suffix == "npy" else _tiff(BANDS + number, photometric="minisblack")
        (place / f"{number}.{suffix}").write_bytes(content)
    images = open_images(tmp_path, mode=DEEP)
    assert images.classes == ["forest", "water"]
    pixels = {picture.name: picture.pixels for picture in images.pictures()}
    assert torch.equal(pixels[f"forest/3.{suffix}"], torch.from_numpy(BANDS.astype(np.int32) + 3))
    small = list(open_images(tmp_path, mode=DEEP, size=4))
    assert {each.shape for each in small} == {(13, 4, 4)}
    assert all(int(each.min()) >= 0 and int(each.max()) <= BANDS.max() + 3 for each in small)
    bytes_ = PixelFormat(planes=13)
    with pytest.raises(SmaltiError, match=r"not one of 4 images.*kept as torch\.uint8"):
        list(open_images(tmp_path, mode=bytes_))
    if suffix == "npy":
        with pytest.raises(SmaltiError, match="holds no images"):
            open_images(tmp_path)


@pytest.mark.parametrize("last", [False, True])
def test_an_array_of_bands_is_taken_as_it_is(last: bool, tmp_path: Path) -> None:
    several = np.stack([BANDS, BANDS[:, ::-1]])
    np.save(tmp_path / "a.npy", np.moveaxis(several, 1, 3) if last else several)
    images = list(open_images(tmp_path / "a.npy", mode=DEEP))
    assert torch.equal(torch.stack(images), torch.from_numpy(several.astype(np.int32)))
    with pytest.raises(SmaltiError, match="whole numbers, with 5 planes"):
        open_images(tmp_path / "a.npy", mode=PixelFormat(planes=5))


def test_a_picture_that_resizing_leaves_alone_keeps_its_values(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", BANDS[:, :7])
    assert torch.equal(
        next(iter(open_images(f"{tmp_path}/*.npy", mode=DEEP, size=7))), torch.from_numpy(BANDS[:, :7].astype(np.int32))
    )
