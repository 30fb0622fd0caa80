"""Grey of more than 8 bits, brought to 8: by one range for all pictures of a source, so that they stay comparable."""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from PIL import Image

from smalti.data.kinds import formats
from smalti.data.listing import Listing
from smalti.pixels import GREY_LEVELS

_LOOKED_AT = 64
_DEPTHS = (8, 12, 16, 32)  # bits that values of a deep file may have
_FLOATS = (1, 2**8 - 1, 2**16 - 1)


@dataclass(frozen=True, slots=True)
class Range:
    """What deep values are taken to reach from and to."""

    lowest: float
    highest: float

    @classmethod
    def of(cls, lowest: float, highest: float, floats: bool) -> "Range":
        """From 0 to the fewest bits that hold the values, or for floats to 1, 255 or 65535, the first as large as all.

        Where values lie below 0, or beyond these, all of their range.
        """
        lowest = min(lowest, 0.0)
        ends = _FLOATS if floats else [2**bits - 1 for bits in _DEPTHS]
        if lowest < 0 or highest > ends[-1]:
            return cls(lowest, lowest + max(highest - lowest, float(np.finfo(np.float64).tiny)))
        return cls(0.0, float(next(end for end in ends if highest <= end)))

    def to_bytes(self, image: Image.Image) -> Image.Image:
        """A deep picture as one of 8 bits; what is no number is 0.

        Raises:
            ValueError: its values lie beyond the range, which is that of others.
        """
        values = _values(image)
        if values.size and (values.min() < self.lowest or values.max() > self.highest):
            raise ValueError(
                f"its values are from {values.min():g} to {values.max():g}, and those of other pictures from "
                f"{self.lowest:g} to {self.highest:g}"
            )
        levels = (values - self.lowest) * (GREY_LEVELS / (self.highest - self.lowest))
        return Image.fromarray(levels.round().clip(0, GREY_LEVELS).astype(np.uint8))


def is_deep(image: Image.Image) -> bool:
    """Whether a picture has more than 8 bits a value, as far as Pillow reads them."""
    return image.mode.startswith("I") or image.mode == "F"


def own_range(*images: Image.Image) -> Range:
    """The range of the values of some deep pictures."""
    found = [_values(image) for image in images]
    lowest, highest = (min(each.min(initial=0) for each in found), max(each.max(initial=0) for each in found))
    return Range.of(float(lowest), float(highest), any(image.mode == "F" for image in images))


class Depth:
    """The range of the deep pictures of a source, by some of them that lie evenly in it; found when it is asked for."""

    def __init__(self, listing: Listing):
        self._listing = listing
        self._found: Range | None = None

    def range(self) -> Range:
        """From the lowest to the highest value of those that are looked at, see `Range.of`."""
        if self._found is None:  # threads that find it at once find the same
            total = len(self._listing.names)
            numbers = range(0, total, -(-total // _LOOKED_AT))
            self._found = own_range(*(image for number in numbers if (image := self._deep(number)) is not None))
        return self._found

    def _deep(self, number: int) -> Image.Image | None:
        """A picture, if it is a deep one; what cannot be read is told of when it is decoded."""
        try:
            image = Image.open(io.BytesIO(self._listing.read(number)), formats=formats())
            if not is_deep(image):
                return None
            image.load()
        except MemoryError:
            raise
        except Exception:  # a damaged file makes Pillow and its codecs raise nearly anything
            return None
        return image


def _values(image: Image.Image) -> Float64[np.ndarray, "H W"]:
    values = np.asarray(image, dtype=np.float64)
    return np.where(np.isfinite(values), values, 0)
