import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import SmaltiError
from smalti.pixels import GREY, RGB, PixelFormat, to_image

DEEP = PixelFormat(planes=13, highest=2**16 - 1)


def test_colour_is_that_of_jpeg() -> None:
    # ITU-T T.871: Y = 0.299 R + 0.587 G + 0.114 B, Cb - 128 = (B - Y) / 1.772, Cr - 128 = (R - Y) / 1.402.
    x = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    red, green, blue = x[0].double()
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = torch.stack([luma - 128, (blue - luma) / 1.772, (red - luma) / 1.402])
    torch.testing.assert_close(RGB.to_planes(RGB.levels(x))[0].double(), expected, atol=1e-3, rtol=0)


def _back(form: PixelFormat, x: torch.Tensor) -> torch.Tensor:
    """Pixels, coded and decoded without a loss between."""
    return form.pixels(form.from_planes(form.to_planes(form.levels(x))))


@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_planes_turn_back_into_the_same_bytes(planes: int) -> None:
    x = torch.randint(0, 256, (2, planes, 16, 16), dtype=torch.uint8)
    form = PixelFormat.of_planes(planes)
    assert torch.equal(_back(form, x), x)
    assert torch.equal(form.from_planes(form.to_planes(form.levels(x))).round().to(torch.uint8), x)  # without clipping


def test_every_grey_and_colours_from_all_over_the_cube_come_back() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(_back(GREY, values[None, None, None]), values[None, None, None])
    greens, blues = torch.meshgrid(values, values, indexing="ij")
    for red in range(0, 256, 17):
        colours = torch.stack([torch.full_like(greens, red), greens, blues])[None]
        assert torch.equal(_back(RGB, colours), colours)


def test_grey_levels_of_8_bits_are_the_pixels_themselves() -> None:
    x = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    assert torch.equal(RGB.levels(x), x.float())
    assert RGB.dtype == GREY.dtype == torch.uint8


@pytest.mark.parametrize(("lowest", "highest"), [(0, 2**16 - 1), (-(2**15), 2**15 - 1), (0, 1), (-100, 10_000)])
def test_every_value_of_any_range_comes_back_and_the_ends_are_black_and_white(lowest: int, highest: int) -> None:
    form = PixelFormat(planes=13, lowest=lowest, highest=highest)
    values = torch.arange(lowest, highest + 1, dtype=torch.int32).to(form.dtype)
    x = values.expand(1, 13, 1, -1)
    assert torch.equal(_back(form, x), x)
    levels = form.levels(values[None, None])[0, 0]
    assert levels[0] == 0
    assert levels[-1] == pytest.approx(255)
    assert (levels.diff() > 0).all()


@given(st.integers(-(2**20), 2**20), st.integers(1, 2**16))
def test_the_type_of_pixels_holds_their_values(lowest: int, span: int) -> None:
    form = PixelFormat(planes=1, lowest=lowest, highest=lowest + span)
    info = torch.iinfo(form.dtype)
    assert info.min <= lowest < lowest + span <= info.max
    assert (form.dtype == torch.uint8) == (lowest >= 0 and lowest + span <= 255)


def test_pixels_are_rounded_and_clipped_to_their_range() -> None:
    levels = torch.tensor([-20.0, 0.4, 0.6, 254.6, 300.0])[None, None]
    assert GREY.pixels(levels)[0, 0].tolist() == [0, 0, 1, 255, 255]
    signed = PixelFormat(planes=1, lowest=-1000, highest=1000)
    assert signed.pixels(levels[..., [0, 4]])[0, 0].tolist() == [-1000, 1000]


def test_three_bands_that_are_no_colours_are_coded_as_they_are() -> None:
    x = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    bands = PixelFormat(planes=3)
    assert torch.equal(bands.to_planes(bands.levels(x)), x.float() - 128)
    assert not torch.equal(bands.to_planes(bands.levels(x)), RGB.to_planes(RGB.levels(x)))
    assert bands != RGB == PixelFormat.of_planes(3)


def test_planes_of_8_bits_are_taken_for_grey_for_colour_or_for_bands() -> None:
    assert PixelFormat.of_planes(1) == GREY
    assert PixelFormat.of_planes(3) == RGB
    assert PixelFormat.of_planes(13) == PixelFormat(planes=13, colour="bands", lowest=0, highest=255)


def test_only_grey_and_colour_of_8_bits_are_what_picture_files_are_decoded_to() -> None:
    assert (GREY.mode, RGB.mode) == ("L", "RGB")
    for form in (PixelFormat(planes=3), PixelFormat(planes=1, colour="grey", highest=2**16 - 1), DEEP):
        assert form.mode == form  # what is no photo is read as it is
    assert [PixelFormat.of_mode(form.mode) for form in (GREY, RGB, DEEP)] == [GREY, RGB, DEEP]


def test_photos_are_shown_as_they_are_and_bands_as_colours_up_to_white() -> None:
    photos = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    assert torch.equal(RGB.shown(photos), photos)
    deep = PixelFormat(planes=5, highest=4_000)
    pixels = torch.randint(0, 1_001, (2, 5, 4, 4), dtype=torch.int32)
    pixels[0, 0, 0, 0] = 1_000
    expected = (pixels[:, :3].float() * 0.255).round()
    assert (deep.shown(pixels).float() - expected).abs().max() <= 1
    assert deep.shown(pixels).max() == 255
    assert PixelFormat(planes=2).shown(pixels[:, :2].byte()).shape == (2, 1, 4, 4)
    grey = PixelFormat(planes=1, colour="grey", highest=65_535)
    assert grey.shown(torch.full((1, 2, 2), 257 * 9, dtype=torch.int32)).unique().tolist() == [9]
    assert not deep.shown(torch.zeros(5, 2, 2, dtype=torch.int32)).any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"planes": 0}, "0 planes"),
        ({"planes": 2, "colour": "grey"}, "2 planes are no pixels of grey"),
        ({"planes": 1, "colour": "RGB"}, "1 planes are no pixels of RGB"),
        ({"planes": 1, "lowest": 5, "highest": 5}, "from 5 to 5"),
    ],
)
def test_a_format_that_no_pixel_has_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(SmaltiError, match=says):
        PixelFormat(**wrong)  # pyright: ignore[reportArgumentType]


def test_an_unknown_colour_is_told_the_known_ones() -> None:
    form = object.__new__(PixelFormat)  # outside of tests nothing checks types before the format does
    for name, value in {"planes": 3, "colour": "lab", "lowest": 0, "highest": 255}.items():
        object.__setattr__(form, name, value)
    with pytest.raises(SmaltiError, match="'lab' is no colour; take one of grey, RGB, bands"):
        form.__post_init__()


@pytest.mark.parametrize(
    ("form", "wrong", "says"),
    [
        (RGB, torch.zeros(3, 8, 8), "float32"),
        (RGB, torch.zeros(3, 0, 8, dtype=torch.uint8), "shape"),
        (RGB, torch.zeros(1, 8, 8, dtype=torch.uint8), "1 planes and the codec is for 3 planes of RGB"),
        (DEEP, torch.zeros(13, 8, 8, dtype=torch.uint8), "give torch.int32"),
        (DEEP, torch.zeros(2, 12, 8, 8, dtype=torch.int32), "12 planes"),
    ],
)
def test_what_is_no_image_of_a_format_is_named(form: PixelFormat, wrong: torch.Tensor, says: str) -> None:
    with pytest.raises(SmaltiError, match=f"^image 7 .*{says}"):
        form.check(wrong, "image 7")
    form.check(torch.zeros(2, form.planes, 8, 8, dtype=form.dtype), "image 7")


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_tensor_is_shown_as_it_is(channels: int, mode: str) -> None:
    pixels = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    image = to_image(pixels)
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image).reshape(5, 7, channels), pixels.permute(1, 2, 0).numpy())


def test_a_number_of_planes_that_no_picture_has_is_refused() -> None:
    with pytest.raises(SmaltiError, match="13 planes of"):
        to_image(torch.zeros(13, 5, 7, dtype=torch.uint8))
    with pytest.raises(SmaltiError, match="int32 make no picture"):
        to_image(torch.zeros(3, 5, 7, dtype=torch.int32))
    with pytest.raises(SmaltiError, match="not exact"):
        PixelFormat(planes=2, highest=2**31 - 1)
