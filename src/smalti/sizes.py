"""Sizes of pictures: one number of pixels for a square, or height x width."""

import re
from collections.abc import Sequence
from math import log, sqrt

from smalti.errors import SmaltiError

__all__ = ["Size", "height_width", "nearest_size", "read_size", "shortest", "sizes_like", "told_size"]

_SHAPES = ((1, 1), (4, 3), (3, 2), (16, 9), (2, 1))
_LONGEST = 2.25  # of grids of few places the nearest to 2:1 may be longer still

Size = int | tuple[int, int]
"""The side of a square, or height and width, in pixels."""


def height_width(size: Size) -> tuple[int, int]:
    """Both sides."""
    return (size, size) if isinstance(size, int) else size


def shortest(size: Size) -> Size:
    """The same size, a square as one number: so it stands in records."""
    height, width = height_width(size)
    return height if height == width else (height, width)


def told_size(size: Size) -> str:
    """Both sides in words, as `read_size` reads them."""
    return "{}x{}".format(*height_width(size))


def read_size(text: str) -> Size:
    """A size from words such as "64" or "96x64", height x width.

    Raises:
        SmaltiError: it is none.
    """
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if not found:
        raise SmaltiError(
            f"'{text}' is no size; give one number of pixels for a square, or height x width, as in 96x64."
        )
    return shortest((int(found[1]), int(found[2] or found[1])))


def sizes_like(size: int, patch: int) -> list[tuple[int, int]]:
    """Sizes of whole patches with about the area of a square, from half to twice as high as wide; the square first.

    Of the grids with `rows` rows and round(places / rows) columns, and these turned, those whose shapes are nearest to
    the usual ones of photos: 1:1, 4:3, 3:2, 16:9 and 2:1, either way. Where there are few places there are fewer.
    """
    side = max(1, round(size / patch))
    grids = [(rows, round(side**2 / rows)) for rows in range(max(1, round(side / sqrt(2))), side + 1)]
    grids = [(rows, columns) for rows, columns in grids if columns / rows < _LONGEST]
    grids += [(columns, rows) for rows, columns in grids]
    longer = [nearest_size(shape, grids) for shape in _SHAPES]
    both = dict.fromkeys(grid for rows, columns in longer for grid in ((rows, columns), (columns, rows)))
    return [(rows * patch, columns * patch) for rows, columns in both]


def nearest_size(shape: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Of some sizes the one whose ratio of height to width is nearest to that of a shape; of equal ones the first."""
    return min(sizes, key=lambda size: _apart(size, shape))


def _apart(one: tuple[int, int], other: tuple[int, int]) -> float:
    """How far the ratios of two shapes lie apart: the logarithm of what a crop from one to the other keeps."""
    return abs(log(one[0] * other[1] / (one[1] * other[0])))
