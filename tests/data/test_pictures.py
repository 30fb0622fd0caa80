import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from smalti.data import pictures
from smalti.data.kinds import HEAD, begins_as_picture, has_picture_suffix
from smalti.data.pictures import CropSettings, decode_picture
from smalti.errors import SmaltiError
from smalti.pixels import Mode

RAMP = np.linspace(0, 255, 24 * 16).reshape(16, 24).round().astype(np.uint8)
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)
AS_IT_IS, GREY = CropSettings(), CropSettings(mode="L")


def _file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _shown(image: Image.Image, settings: CropSettings = AS_IT_IS, kind: str = "PNG", **options: object) -> np.ndarray:
    return decode_picture(_file(image, kind, **options), settings).permute(1, 2, 0).numpy()


def test_plain_images_come_out_as_they_are() -> None:
    np.testing.assert_array_equal(_shown(Image.fromarray(COLOUR)), COLOUR)
    np.testing.assert_array_equal(_shown(Image.fromarray(RAMP), GREY)[..., 0], RAMP)
    np.testing.assert_array_equal(_shown(Image.fromarray(RAMP)), np.repeat(RAMP[..., None], 3, 2))


def test_photos_of_phones_are_read_upright_and_with_their_colours() -> None:
    big = np.asarray(Image.fromarray(COLOUR).resize((96, 64), Image.Resampling.BICUBIC))
    content = _file(Image.fromarray(big), "HEIF", quality=95)
    assert begins_as_picture(content[:HEAD])
    assert has_picture_suffix("IMG_0001.HEIC")
    shown = decode_picture(content, AS_IT_IS).permute(1, 2, 0).numpy().astype(int)
    assert shown.shape == big.shape
    assert np.abs(shown - big).mean() < 5


def test_grey_of_colour_is_its_luma() -> None:
    expected = COLOUR @ [0.299, 0.587, 0.114]
    assert np.abs(_shown(Image.fromarray(COLOUR), GREY)[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_turned_upright(orientation: int) -> None:
    turns = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(_shown(Image.fromarray(COLOUR), exif=exif), turns[orientation](COLOUR))


def test_transparency_is_put_on_white() -> None:
    half = np.full_like(RAMP, 128)
    clear = np.dstack([COLOUR, np.zeros_like(RAMP)])
    assert (_shown(Image.fromarray(clear)) == 255).all()
    mixed = _shown(Image.fromarray(np.dstack([np.zeros_like(COLOUR), half])))
    assert np.abs(mixed.astype(int) - 127).max() <= 1
    grey = Image.merge("LA", [Image.fromarray(np.zeros_like(RAMP)), Image.fromarray(half)])
    assert np.abs(_shown(grey, GREY).astype(int) - 127).max() <= 1


def test_a_palette_is_looked_up_and_its_transparent_colour_is_white() -> None:
    paletted = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), "P")
    paletted.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    shown = _shown(paletted)
    assert shown[0, 0].tolist() == [10, 20, 30]
    assert shown[1, 0].tolist() == [70, 80, 90]
    assert _shown(paletted, transparency=1)[0, 1].tolist() == [255, 255, 255]
    assert abs(int(_shown(paletted, GREY)[0, 0, 0]) - (0.299 * 10 + 0.587 * 20 + 0.114 * 30)) <= 1


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = Image.fromarray(RAMP.astype(np.uint16) * 257)
    np.testing.assert_array_equal(_shown(deep, GREY)[..., 0], RAMP)
    np.testing.assert_array_equal(_shown(deep, GREY, "TIFF")[..., 0], RAMP)
    np.testing.assert_array_equal(_shown(deep)[..., 1], RAMP)


def test_floats_are_taken_from_0_to_1_or_to_255() -> None:
    np.testing.assert_array_equal(_shown(Image.fromarray(RAMP.astype(np.float32) / 255), GREY, "TIFF")[..., 0], RAMP)
    np.testing.assert_array_equal(_shown(Image.fromarray(RAMP.astype(np.float32)), GREY, "TIFF")[..., 0], RAMP)


@pytest.mark.parametrize(
    ("kind", "highest"), [("TIFF", 255), ("PNG", 255), ("TIFF", 4095), ("PNG", 4095), ("TIFF", 65535)]
)
def test_deep_files_of_fewer_bits_are_as_bright_as_those(kind: str, highest: int) -> None:
    values = np.round(RAMP / 255 * highest)
    for dtype in (np.uint16, np.int32) if kind == "TIFF" else (np.uint16,):
        shown = _shown(Image.fromarray(values.astype(dtype)), GREY, kind)[..., 0]
        np.testing.assert_allclose(shown, RAMP, atol=1)


def test_floats_may_reach_to_65535_and_what_is_no_number_is_black() -> None:
    np.testing.assert_array_equal(_shown(Image.fromarray(RAMP.astype(np.float32) * 257), GREY, "TIFF")[..., 0], RAMP)
    holed = RAMP.astype(np.float32)
    holed[0, :3] = np.nan, np.inf, -np.inf
    shown = _shown(Image.fromarray(holed), GREY, "TIFF")[..., 0]
    np.testing.assert_array_equal(shown[1:], RAMP[1:])
    assert shown[0, :3].tolist() == [0, 0, 0]


def _profile() -> bytes:
    """A colour profile in which red and green are exchanged."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = made.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))


def test_colours_are_brought_to_srgb_by_the_profile() -> None:
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    shown = _shown(red, icc_profile=_profile())
    assert np.abs(shown[4, 4].astype(int) - [0, 255, 0]).max() < 4
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert _shown(clear, icc_profile=_profile())[4, 4].tolist() == [255, 255, 255]
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for harmless in (plain, b"no profile", _profile()[:200]):
        assert _shown(red, icc_profile=harmless)[4, 4].tolist() == [255, 0, 0]
    assert _shown(Image.fromarray(RAMP), GREY, icc_profile=_profile()).shape == (*RAMP.shape, 1)


def test_a_long_text_beside_the_pixels_does_no_harm() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("history", "x" * 3_000_000, zip=True)
    np.testing.assert_array_equal(_shown(Image.fromarray(COLOUR), pnginfo=text), COLOUR)


def test_postscript_is_not_decoded() -> None:
    with pytest.raises(UnidentifiedImageError):
        decode_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n", AS_IT_IS)


def test_more_pixels_than_can_be_meant_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1_000)
    with pytest.raises(ValueError, match="100x100 pixels, more than 1,000"):
        decode_picture(_file(Image.new("L", (100, 100))), AS_IT_IS)


def test_one_bit_cmyk_and_animations_are_understood() -> None:
    ink = Image.fromarray(RAMP > 100)
    assert set(np.unique(_shown(ink, GREY))) == {0, 255}
    printed = _shown(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), kind="JPEG", quality=95)
    assert np.abs(printed[4, 4].astype(int) - [255, 0, 0]).max() < 8
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    moving = _shown(frames[0], kind="GIF", save_all=True, append_images=frames[1:])
    assert moving[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("content", [b"", b"text", _file(Image.fromarray(COLOUR))[:60], b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_whole_image_raises(content: bytes) -> None:
    with pytest.raises((OSError, SyntaxError, ValueError)):
        decode_picture(content, AS_IT_IS)


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["center", "random", "stretch"]),
    st.integers(4, 40),
    st.integers(4, 40),
)
def test_every_crop_has_the_size_asked_for(width: int, height: int, crop: str, high: int, wide: int) -> None:
    settings = CropSettings(size=(high, wide), crop=crop)  # pyright: ignore[reportArgumentType]
    content = _file(Image.new("RGB", (width, height), (9, 8, 7)))
    pixels = decode_picture(content, settings, 3)
    assert pixels.shape == (3, high, wide)
    # A flat picture stays flat: nothing from outside is mixed in.
    assert torch.equal(pixels, torch.tensor([9, 8, 7], dtype=torch.uint8)[:, None, None].expand_as(pixels))


def test_the_centred_square_is_the_middle() -> None:
    strip = np.zeros((10, 30), dtype=np.uint8)
    strip[:, 10:20] = 200
    assert (_shown(Image.fromarray(strip), CropSettings(size=10, mode="L")) == 200).all()


def test_the_centred_part_of_any_shape_is_as_large_as_fits() -> None:
    """Of 10x30 pixels a crop of 20x32 takes all rows, and one of 6x30 all columns."""
    strip = np.zeros((10, 30), dtype=np.uint8)
    strip[:, 7:23] = 200
    assert (_shown(Image.fromarray(strip), CropSettings(size=(10, 16), mode="L")) == 200).all()
    assert (_shown(Image.fromarray(strip), CropSettings(size=(20, 32), mode="L"))[:, 3:-3] == 200).all()
    flat = np.zeros((10, 30), dtype=np.uint8)
    flat[2:8] = 200
    assert (_shown(Image.fromarray(flat), CropSettings(size=(6, 30), mode="L")) == 200).all()


def test_a_square_is_the_same_however_it_is_given() -> None:
    assert CropSettings(size=(16, 16)) == CropSettings(size=16)
    assert repr(CropSettings(size=(16, 16))) == "CropSettings(size=16, crop='center', mode='RGB', seed=0)"
    assert CropSettings(size=(16, 8)).sides == (16, 8)


def test_stretching_keeps_all_of_the_image() -> None:
    strip = np.zeros((10, 30), dtype=np.uint8)
    strip[:, 20:] = 240
    shown = _shown(Image.fromarray(strip), CropSettings(size=10, crop="stretch", mode="L"))
    assert shown.mean() == pytest.approx(80, abs=3)


def test_random_crops_differ_by_view_image_and_seed_and_repeat() -> None:
    content = _file(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)))

    def crop(seed: int, number: int, view: int) -> bytes:
        return decode_picture(content, CropSettings(size=16, crop="random", seed=seed), number, view).numpy().tobytes()

    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert len({crop(*key) for key in keys}) == 4
    assert crop(0, 0, 0) == crop(0, 0, 0)


def test_shrinking_does_not_alias() -> None:
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    shown = _shown(Image.fromarray(checks.astype(np.uint8)), CropSettings(size=16, mode="L"))
    assert np.abs(shown.astype(int) - 127.5).max() < 3


def test_a_large_jpeg_shrinks_to_nearly_what_full_decoding_gives(photo: torch.Tensor) -> None:
    image = Image.fromarray(photo.permute(1, 2, 0).numpy()).resize((1800, 1200))
    small = decode_picture(_file(image, "JPEG", quality=95), CropSettings(size=48)).float()
    plain = decode_picture(_file(image), CropSettings(size=48)).float()
    assert (small - plain).abs().mean() < 2


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_colours_vary_from_view_to_view_by_no_more_than_they_may(mode: Mode) -> None:
    plain = CropSettings(size=8, mode=mode)
    grey = _file(Image.new("RGB", (16, 16), (128, 128, 128)))
    varied = replace(plain, colour=0.1)
    views = [decode_picture(grey, varied, 3, view).float().mean().item() for view in range(12)]
    assert views[5] == decode_picture(grey, varied, 3, 5).float().mean().item()
    assert len(set(views)) > 6
    assert all(128 * 0.9 - 1 <= value <= 128 * 1.1 + 1 for value in views)
    assert (decode_picture(grey, plain, 3, 5) == 128).all()
    with pytest.raises(SmaltiError, match="vary by 1"):
        replace(plain, colour=1.0)


def test_what_is_no_crop_is_refused_in_a_sentence() -> None:
    """In a process of its own, where types are not checked as they are in tests."""
    code = """
from smalti import SmaltiError
from smalti.data import CropSettings
for asked in ({"crop": "centre"}, {"mode": "HSV"}, {"size": (8, 8, 8)}, {"size": (2, 8)}):
    try:
        CropSettings(**asked)
    except SmaltiError as error:
        print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0] == "'centre' is no crop; take one of center, random, stretch."
    assert said[1].startswith("'HSV' is no mode")
    assert said[2].startswith("a size of (8, 8, 8): give one number")
    assert said[3].startswith("a size of 2 pixels is out of range")


@pytest.mark.parametrize("size", [0, 3, -5, 100_000])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(SmaltiError, match=str(size)):
        CropSettings(size=size)
