"""Pictures whose values are taken as they are: any number of planes, any whole numbers."""

import io
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from smalti.data.kinds import formats
from smalti.pixels import MOST_PIXELS, PixelFormat

BANDS_SUFFIX = ".npy"

_ARRAY = b"\x93NUMPY"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG, _PNG_DEPTH, _PNG_KIND = b"\x89PNG", 24, 25  # where a PNG says its bits, and whether it is grey (0)


def read_bands(content: bytes, pixel_format: PixelFormat) -> Shaped[np.ndarray, "C H W"]:
    """The values of one picture: an array of numpy, a TIFF of any bands, or what else Pillow reads.

    Values may lie beyond the range of the format, which is what decoded ones are kept in, but not beyond its type.

    Raises:
        ValueError: other planes, values that are no whole numbers or too large, or no picture; what numpy, tifffile or
            Pillow raise besides.
    """
    if content.startswith(_ARRAY):
        array = _array(content)
    elif content.startswith(_TIFF):
        array = _tiff(content)
    else:
        array = _other(content)
    if array.dtype.kind not in "iub":
        raise ValueError(f"its values are {array.dtype}; bands are whole numbers")
    planes = as_planes(array, pixel_format.planes)
    if planes.shape[1] * planes.shape[2] > MOST_PIXELS or not planes.size:
        raise ValueError(f"{planes.shape[2]}x{planes.shape[1]} pixels; take 1 to {MOST_PIXELS:,}")
    lowest, highest = int(planes.min()), int(planes.max())
    if lowest < pixel_format.least or highest > pixel_format.most:
        raise ValueError(
            f"its values are from {lowest} to {highest}; pixels of this format are kept as {pixel_format.dtype}"
        )
    return planes


def as_planes(array: Shaped[np.ndarray, "..."], planes: int) -> Shaped[np.ndarray, "C H W"]:
    """An array (H, W), (C, H, W) or (H, W, C) of so many planes, planes first.

    Raises:
        ValueError: it has another shape.
    """
    if array.ndim == 2 and planes == 1:
        return array[None]
    if array.ndim == 3 and planes in (array.shape[0], array.shape[2]):
        return array if array.shape[0] == planes else np.moveaxis(array, 2, 0)
    raise ValueError(f"its shape is {array.shape}, not that of {planes} planes")


def _array(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(file)
    # What the header claims is compared with what is there before there is room made for it.
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if columns_first else "C")


def _tiff(content: bytes) -> np.ndarray:
    from tifffile import TiffFile  # not needed for photos

    with TiffFile(io.BytesIO(content)) as file:
        series = file.series[0]
        if prod(series.shape) > MOST_PIXELS:
            raise ValueError(f"{series.shape} are more than {MOST_PIXELS:,} values")
        return np.squeeze(series.asarray(maxworkers=1))


def _other(content: bytes) -> np.ndarray:
    if content.startswith(_PNG) and content[_PNG_DEPTH : _PNG_DEPTH + 1] == b"\x10" and content[_PNG_KIND] != 0:
        raise ValueError("a PNG of 16 bits a colour, of which 8 are read; make it a TIFF or an .npy")
    with Image.open(io.BytesIO(content), formats=formats()) as image:
        if image.width * image.height > MOST_PIXELS or image.mode in ("P", "PA"):
            raise ValueError(f"{image.width}x{image.height} pixels of mode {image.mode} are no bands")
        array: Any = np.asarray(image)
        return array
