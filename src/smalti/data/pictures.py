"""One image file: its bytes to 8-bit pixels of the wanted size."""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from smalti.errors import SmaltiError
from smalti.pixels import GREY_LEVELS, Mode
from smalti.random import keyed_generator

Crop = Literal["center", "random", "stretch"]

_SMALLEST_CROP = 0.8  # side of a random square, as a share of the largest
_SMALLEST_SIZE, _LARGEST_SIZE = 4, 8192
_WHITE = (GREY_LEVELS,) * 4


@dataclass(frozen=True, kw_only=True, slots=True)
class CropSettings:
    """How an image becomes pixels: stored with the latents that were made of it."""

    size: int | None = None
    """Side of the square output in pixels; None keeps each image's own size and shape."""
    crop: Crop = "center"
    """The largest centred square; a random square of 80 to 100 % of its side; or the whole image, stretched."""
    mode: Mode = "RGB"
    """Pillow's name of the colours: RGB or L, grey."""
    seed: int = 0
    """Of the random squares, which also depend on the image's number and the view."""

    def __post_init__(self) -> None:
        """Refuse a size that no picture has.

        Raises:
            SmaltiError: the size is out of range.
        """
        if self.size is not None and not _SMALLEST_SIZE <= self.size <= _LARGEST_SIZE:
            raise SmaltiError(
                f"a size of {self.size} pixels is out of range; take {_SMALLEST_SIZE} to {_LARGEST_SIZE}."
            )


def decode_picture(content: bytes, settings: CropSettings, number: int = 0, view: int = 0) -> UInt8[Tensor, "C H W"]:
    """Decode, turn upright, crop and resize (Pillow's bicubic, antialiased) one image of any mode.

    Transparency is put on white, 16-bit images are scaled to 8 bits, of an animation the first frame is taken.

    Raises:
        Exception: whatever Pillow raises for a file that is no image, is cut short, or is absurdly large.
    """
    with Image.open(io.BytesIO(content)) as opened:
        _draft(opened, settings)
        image = _to_mode(ImageOps.exif_transpose(opened), settings.mode)
    if settings.size is not None:
        box = _box(image.size, settings, number, view)
        image = image.resize((settings.size, settings.size), Image.Resampling.BICUBIC, box=box)
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()


def _draft(image: Image.Image, settings: CropSettings) -> None:
    """Let a large JPEG be decoded at a fraction of its size, but never below twice the size wanted."""
    if settings.size is not None:
        scale = 2 * settings.size / (_SMALLEST_CROP * min(image.size))
        image.draft(None, (round(image.width * scale), round(image.height * scale)))


def _to_mode(image: Image.Image, mode: Mode) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _deep_to_bytes(image)
    if "A" in image.getbands() or image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    # A palette's grey is not its index, and Pillow goes from CMYK to grey only by way of RGB.
    return image.convert("RGB").convert(mode) if image.mode not in ("RGB", "L", "1") else image.convert(mode)


def _deep_to_bytes(image: Image.Image) -> Image.Image:
    """16- and 32-bit grey to 8 bits by the range of its type; float by 0..1, or 0..255 where it goes beyond 1."""
    values = np.asarray(image, dtype=np.float64)
    largest = values.max(initial=0)
    if image.mode == "F":
        full = 1 if largest <= 1 else GREY_LEVELS
    else:
        full = 2**16 - 1 if largest < 2**16 else 2**32 - 1
    return Image.fromarray((values * GREY_LEVELS / full).round().clip(0, GREY_LEVELS).astype(np.uint8))


def _box(size: tuple[int, int], settings: CropSettings, number: int, view: int) -> tuple[float, float, float, float]:
    """The part of the image to keep: left, top, right, bottom."""
    width, height = size
    if settings.crop == "stretch":
        return 0.0, 0.0, float(width), float(height)
    side, across, down = float(min(width, height)), 0.5, 0.5
    if settings.crop == "random":
        share, across, down = keyed_generator(settings.seed, f"crop/{view}", number).random(3)
        side *= _SMALLEST_CROP + (1 - _SMALLEST_CROP) * share
    left, top = (width - side) * across, (height - side) * down
    return left, top, left + side, top + side
