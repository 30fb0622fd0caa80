"""Sizes of pictures: one number of pixels for a square, or height x width."""

import re

from smalti.errors import SmaltiError

__all__ = ["Size", "height_width", "read_size", "shortest", "told_size"]

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
