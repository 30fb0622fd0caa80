"""One image file: its bytes to pixels of the wanted size."""

import errno
import io
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from threading import get_ident
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from jaxtyping import Integer
from PIL import ExifTags, Image, ImageCms, ImageEnhance, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from smalti.data.bands import read_bands
from smalti.data.depth import Range, is_deep, own_range
from smalti.data.kinds import formats
from smalti.errors import SmaltiError, readable
from smalti.pixels import GREY_LEVELS, MOST_PIXELS, Mode, PixelFormat
from smalti.random import keyed_generator
from smalti.sizes import Size, height_width, nearest_size, shortest

Crop = Literal["center", "random", "stretch"]

_SMALLEST_CROP = 0.8  # side of a random square, as a share of the largest
_SMALLEST_SIZE, _LARGEST_SIZE = 4, 8192
_LYING = (5, 6, 7, 8)  # orientations of photos whose sides are the other way round
_WHITE = (GREY_LEVELS,) * 4
_PROFILES_KEPT = 64
_OF_THE_MACHINE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # errors that say nothing of a picture
_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)

Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # more is refused below, in a sentence
PngImagePlugin.MAX_TEXT_CHUNK = 2**26  # text beside the pixels: editors keep the history of a picture there
PngImagePlugin.MAX_TEXT_MEMORY = 2**28


@dataclass(frozen=True, kw_only=True, slots=True)
class CropSettings:
    """How an image becomes pixels: stored with the latents that were made of it."""

    size: Size | None = None
    """Height and width of the output in pixels, one number for a square; None keeps each image's own."""
    crop: Crop = "center"
    """The largest centred part of that shape; a random one of 80 to 100 % of its sides; or the whole, stretched."""
    mode: Mode | PixelFormat = "RGB"
    """Pillow's name of the colours: RGB or L, grey; or bands, whose values are taken as they are."""
    seed: int = 0
    """Of the random crops, which also depend on the image's number and the view."""
    colour: float = 0.0
    """How much brightness, contrast and saturation vary from view to view: each by a factor of 1 - this to 1 + this."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Several sizes, of about the area of `size`: each image takes the one that is nearest to its own shape."""

    def __post_init__(self) -> None:
        """Refuse what is no way to crop.

        Raises:
            SmaltiError: the size is no number, out of range, or missing beside several; or crop or mode are not known.
        """
        for name, known in (("crop", Crop), ("mode", Mode)):
            if getattr(self, name) not in get_args(known) and not isinstance(getattr(self, name), PixelFormat):
                raise SmaltiError(f"{getattr(self, name)!r} is no {name}; take one of {', '.join(get_args(known))}.")
        if self.colour and not isinstance(self.mode, str):
            raise SmaltiError("bands have no colours that could vary; leave --augment out.")
        if not 0 <= self.colour < 1:
            raise SmaltiError(f"colours that vary by {self.colour} are out of range; take from 0 to less than 1.")
        if self.size is None:
            if self.sizes:
                raise SmaltiError("several sizes are of the area of one; give that as the size, or leave them out.")
            return
        for each in self.sizes:
            CropSettings(size=each)  # which refuses what no picture has
        sides = self.size if isinstance(self.size, tuple) else (self.size,)
        if len(sides) > 2 or not all(type(side) is int for side in sides):
            raise SmaltiError(f"a size of {self.size!r}: give one number of pixels for a square, or height and width.")
        for side in sides:
            if not _SMALLEST_SIZE <= side <= _LARGEST_SIZE:
                raise SmaltiError(f"a size of {side} pixels is out of range; take {_SMALLEST_SIZE} to {_LARGEST_SIZE}.")
        object.__setattr__(self, "size", shortest(self.size))  # a square is the same, however it is given

    def __repr__(self) -> str:
        """As it was before there were the last two, where they are not used: fingerprints of photos are made of it."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        said = {name: value for name, value in every.items() if name not in ("colour", "sizes") or value}
        return f"CropSettings({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of the output, where they are given."""
        return None if self.size is None else height_width(self.size)

    def of_shape(self, shape: tuple[int, int]) -> "CropSettings":
        """For images of one height and width alone: of several sizes the nearest one is theirs."""
        return replace(self, size=nearest_size(shape, self.sizes), sizes=()) if self.sizes else self


def decode_picture(
    content: bytes,
    settings: CropSettings,
    number: int = 0,
    view: int = 0,
    depth: Callable[[], Range] | None = None,
    most: int | None = None,
) -> Integer[Tensor, "C H W"]:
    """Decode, turn upright, crop and resize (Pillow's bicubic, antialiased) one image of any mode.

    Transparency is put on white, colours are brought to sRGB, of an animation the first frame is taken. Deeper values
    are scaled to 8 bits, by the range that `depth` gives, or by that of the picture; those of bands are left as they
    are.

    Raises:
        Exception: whatever Pillow raises for a file that is no image, is cut short, or has more than `most` pixels, by
            default `MOST_PIXELS`.
    """
    if not content:
        raise ValueError("an empty file")
    mode = settings.mode
    if isinstance(mode, PixelFormat):
        return _bands(content, mode, settings, number, view)
    with Image.open(io.BytesIO(content), formats=formats()) as opened:
        _require_size(opened, MOST_PIXELS if most is None else most)
        settings = settings.of_shape(_shape(opened)) if settings.sizes else settings  # before a draft changes it
        _draft(opened, settings)
        ImageOps.exif_transpose(opened, in_place=True)
        image = _to_srgb(opened)
        if is_deep(image):
            image = (depth() if depth else own_range(image)).to_bytes(image)
        image = _to_mode(image, mode)
    if settings.sides is not None:
        height, width = settings.sides
        box = _box(image.size, settings, number, view)
        image = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    if settings.colour:
        drawn = keyed_generator(settings.seed, f"colour/{view}", number).uniform(-1, 1, len(_ENHANCERS))
        for enhancer, by in zip(_ENHANCERS, drawn.tolist(), strict=True):
            image = enhancer(image).enhance(1 + settings.colour * by)
    pixels = np.asarray(image, dtype=np.uint8)
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.array(planes, order="C"))


def read_picture(content: bytes, name: str, settings: CropSettings, most: int) -> Integer[Tensor, "C H W"]:
    """Decode one image that somebody gave under a name, as `decode_picture` does.

    Raises:
        SmaltiError: it is no image, is cut short, or has more than `most` pixels.
    """
    try:
        return decode_picture(content, settings, most=most)
    except Exception as error:
        raise SmaltiError(f"{name}: cannot be read as a picture ({why_unreadable(error)}); take another.") from error


def why_unreadable(error: Exception) -> str:
    """Why an image could not be decoded, by what that raised; raised again where it says nothing of the image."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture of a kind that is read here"
    of_the_machine = isinstance(error, OSError) and error.errno in _OF_THE_MACHINE
    if of_the_machine or isinstance(error, MemoryError | SmaltiError):  # or of the network
        raise error
    return readable(" ".join(str(error).split())[:100]) or type(error).__name__


def shape_of(content: bytes, mode: Mode | PixelFormat) -> tuple[int, int]:
    """Height and width of one image, turned upright: what `decode_picture` makes of it is of no other.

    Raises:
        Exception: whatever Pillow raises for a file that is no image, or is absurdly large.
    """
    if isinstance(mode, PixelFormat):
        _, height, width = read_bands(content, mode).shape
        return height, width
    with Image.open(io.BytesIO(content), formats=formats()) as opened:
        _require_size(opened, MOST_PIXELS)
        return _shape(opened)


def _require_size(image: Image.Image, most: int) -> None:
    if image.width * image.height > most:
        raise ValueError(f"{image.width}x{image.height} pixels, more than {most:,}")


def _shape(image: Image.Image) -> tuple[int, int]:
    if image.format == "TIFF":  # which Pillow turns as it loads them
        image.load()
    lies = image.getexif().get(ExifTags.Base.Orientation, 1) in _LYING
    return (image.width, image.height) if lies else (image.height, image.width)


def _bands(
    content: bytes, pixel_format: PixelFormat, settings: CropSettings, number: int, view: int
) -> Integer[Tensor, "C H W"]:
    """Bands, each resized by itself, as the type of their format."""
    planes = read_bands(content, pixel_format)
    settings = settings.of_shape((planes.shape[1], planes.shape[2]))
    if settings.sides is not None:
        height, width = settings.sides
        box = _box((planes.shape[2], planes.shape[1]), settings, number, view)
        images = (Image.fromarray(plane.astype(np.float32)) for plane in planes)
        kept = [np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=box)) for image in images]
        planes = np.stack(kept).round().clip(planes.min(), planes.max())  # bicubic goes beyond them at edges
    return torch.from_numpy(planes.astype(np.int32)).to(pixel_format.dtype)


def _draft(image: Image.Image, settings: CropSettings) -> None:
    """Let a large JPEG be decoded at a fraction of its size, but never below twice the size wanted."""
    if settings.sides is not None:
        # Which way it is up is not known yet: sides of photos that lie on theirs are the other way round.
        scale = 2 * max(settings.sides) / (_SMALLEST_CROP * min(image.size))
        image.draft(None, (round(image.width * scale), round(image.height * scale)))


def _to_mode(image: Image.Image, mode: Mode) -> Image.Image:
    if "A" in image.getbands() or image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    if image.mode == mode:
        return image
    # A palette's grey is not its index, and Pillow goes from CMYK to grey only by way of RGB.
    return image.convert("RGB").convert(mode) if image.mode not in ("RGB", "L", "1") else image.convert(mode)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Colours as sRGB has them, by the profile of the file; as they are where it has none, or one that says nothing."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    colours = image.mode.removesuffix("A") if image.mode in ("RGBA", "LA") else image.mode
    try:
        transform = _transform(profile, colours, get_ident())
        if transform is None:
            return image
        mixed = cast(Image.Image, ImageCms.applyTransform(image.convert(colours), transform))
        if colours != image.mode:
            mixed.putalpha(image.getchannel("A"))
        return mixed
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a damaged profile, or one of other colours
        return image


@lru_cache(_PROFILES_KEPT)
def _transform(profile: bytes, mode: str, thread: int) -> Any:
    """From the colours of a profile to sRGB, for one thread; None where they are that already."""
    del thread
    opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    if "sRGB" in ImageCms.getProfileDescription(opened):
        return None
    return ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")


def _box(
    size: tuple[int, int], settings: CropSettings, number: int = 0, view: int = 0
) -> tuple[float, float, float, float]:
    """The part of an image of (width, height) to keep: left, top, right, bottom."""
    width, height = size
    if settings.crop == "stretch" or settings.sides is None:
        return 0.0, 0.0, float(width), float(height)
    high, wide = settings.sides
    wide, high = min(float(width), height * wide / high), min(float(height), width * high / wide)
    across, down = 0.5, 0.5
    if settings.crop == "random":
        share, across, down = keyed_generator(settings.seed, f"crop/{view}", number).random(3)
        share = _SMALLEST_CROP + (1 - _SMALLEST_CROP) * share
        wide, high = wide * share, high * share
    left, top = (width - wide) * across, (height - high) * down
    return left, top, left + wide, top + high
