"""Shapes of the pictures of a source, read from their headers, and the few sizes that they are brought to."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from smalti.data.listing import Listing
from smalti.data.pictures import shape_of, why_unreadable
from smalti.iterables import batched
from smalti.pixels import Mode, PixelFormat
from smalti.processes import cores
from smalti.progress import Progress
from smalti.sizes import nearest_size

__all__ = ["Shape", "Shapes", "common_sizes"]

Shape = tuple[int, int]
"""Height and width in pixels."""

_LEAST_SHARE = 0.05  # of the photos, that a size has to have
_AT_A_TIME = 1_000


class Shapes:
    """Heights and widths of pictures, turned upright; each is read once, however often it is asked for."""

    def __init__(self, listing: Listing, mode: Mode | PixelFormat):
        self._listing = listing
        self._mode: Mode | PixelFormat = mode
        self._found: dict[int, Shape | None] = {}

    def __call__(self, numbers: Sequence[int]) -> list[Shape | None]:
        """The shapes of some pictures; None of what cannot be read."""
        unknown = [number for number in numbers if number not in self._found]
        bar = Progress(total=len(unknown), desc="reading shapes", unit="image", disable=not unknown)
        with bar, ThreadPoolExecutor(cores()) as pool:
            for some in batched(unknown, _AT_A_TIME):
                self._found |= zip(some, pool.map(self._read, some), strict=True)
                bar.update(len(some))
        return [self._found[number] for number in numbers]

    def _read(self, number: int) -> Shape | None:
        try:
            return shape_of(self._listing.read(number), self._mode)
        except Exception as error:  # a damaged file makes Pillow and its codecs raise nearly anything
            why_unreadable(error)  # raised again where it says nothing of the image
            return None


def common_sizes(shapes: Sequence[Shape], sizes: Sequence[Shape]) -> list[Shape]:
    """Those of some sizes that are nearest to the shapes of a twentieth of all or more, the most frequent first.

    The rarest is left out until there is none that is rarer: its shapes are then counted with the nearest others.
    """
    left, occurring = list(sizes), Counter(shapes)
    while True:
        counts = Counter(dict.fromkeys(left, 0))
        for shape, count in occurring.items():
            counts[nearest_size(shape, left)] += count
        rarest = min(left, key=lambda size: (counts[size], -left.index(size)))  # of equal ones the last
        if len(left) == 1 or counts[rarest] >= max(1, _LEAST_SHARE * len(shapes)):
            return sorted(left, key=lambda size: -counts[size])
        left.remove(rarest)
