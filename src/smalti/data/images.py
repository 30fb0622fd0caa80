"""Images of a source, decoded while they are gone through."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from jaxtyping import Integer
from torch import Tensor

from smalti.data.depth import Depth
from smalti.data.listing import Listing
from smalti.data.pictures import CropSettings, decode_picture, why_unreadable
from smalti.data.shapes import Shapes, common_sizes
from smalti.errors import SmaltiError, require_at_least
from smalti.files import fingerprint
from smalti.processes import cores
from smalti.random import keyed_order
from smalti.sizes import nearest_size, sizes_like
from smalti.threads import in_turn

_CLASSES_NAMED = 12
_LOOK_AHEAD = 8  # images decoded ahead, a thread


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image: its position in the source, its name there, its labels if it has any, its pixels."""

    number: int
    name: str
    labels: tuple[int, ...]
    pixels: Integer[Tensor, "C H W"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that cannot be decoded: its position in the source, its name there, and why."""

    number: int
    name: str
    reason: str


class Images:
    """Images of a source in a fixed order, decoded while they are iterated over.

    What cannot be read is left out and kept in `skipped`, once however often the images are gone through.
    """

    def __init__(
        self,
        listing: Listing,
        numbers: Sequence[int],
        settings: CropSettings,
        source: str,
        strict: bool,
        depth: Depth | None = None,
        shapes: Shapes | None = None,
    ):
        self._listing = listing
        self._depth = depth or Depth(listing)  # the same of all choices among the pictures
        self._shapes = shapes or Shapes(listing, settings.mode)  # likewise
        self._numbers = numbers
        self.settings = settings
        self.source = source
        self.classes = list(listing.classes)
        self._strict = strict
        self._skipped: dict[int, tuple[str, str]] = {}

    def __len__(self) -> int:
        """Files, readable or not."""
        return len(self._numbers)

    @property
    def names(self) -> list[str]:
        """The name of each file in its source."""
        return [self._listing.names[number] for number in self._numbers]

    @property
    def told(self) -> str:
        """In words: how many there are of each class, and what is at the source and was left aside, with the reason."""
        words = [f"{len(self):,} images"]
        if self.classes:
            labels = [self._listing.labels_of(number) for number in self._numbers]
            counts = Counter(chain.from_iterable(labels))
            named = [f"{name} {counts[number]:,}" for number, name in enumerate(self.classes)]
            more = [f"and {len(named) - _CLASSES_NAMED} more"] if len(named) > _CLASSES_NAMED else []
            several = sum(len(own) > 1 for own in labels)
            rest = [("of several classes", several), ("without a class", labels.count(()))]
            told = [*named[:_CLASSES_NAMED], *more, *(f"{which} {number:,}" for which, number in rest if number)]
            words.append(f"{len(named)} classes ({', '.join(told)})")
        else:
            words.append("no classes")
        left = str(self._listing.aside)
        return "; ".join([*words, *([f"left aside: {left}"] if left else [])])

    def __iter__(self) -> Iterator[Integer[Tensor, "C H W"]]:
        """The pixels alone."""
        return (picture.pixels for picture in self.pictures())

    def views(self, count: int) -> Iterator[Integer[Tensor, "C H W"]]:
        """The pixels of all images, gone through `count` times, with other random crops each time."""
        return (picture.pixels for view in range(count) for picture in self.pictures(view))

    def pictures(self, view: int = 0) -> Iterator[Picture]:
        """All images that can be read, in order; another `view` gives other random crops.

        Raises:
            SmaltiError: none can be read, or one cannot and the images were opened as strict.
        """
        found = False
        for outcome in self.outcomes(view):
            if isinstance(outcome, Picture):
                found = True
                yield outcome
        if not found:
            name, reason = next(iter(self._skipped.values()))
            raise SmaltiError(
                f"{self.source}: not one of {len(self)} images can be read (the first, {name}: {reason}); name another."
            )

    def outcomes(self, view: int = 0, threads: int | None = None) -> Iterator[Picture | Unreadable]:
        """What becomes of each image, in order, decoded by so many threads, since Pillow frees the interpreter.

        One thread is this one, which then does not look ahead; left out, there are as many as there are cores.

        Raises:
            SmaltiError: an image cannot be read and the images were opened as strict.
        """
        threads = threads or cores()
        one_by_one = (self._decode(number, view) for number in self._numbers)
        for outcome in one_by_one if threads == 1 else self._ahead(view, threads):
            if isinstance(outcome, Unreadable):
                self._skipped[outcome.number] = (outcome.name, outcome.reason)
                if self._strict:
                    raise SmaltiError(
                        f"{outcome.name}: cannot be read as an image ({outcome.reason}); mend it or leave it out."
                    )
            yield outcome

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Name and reason of each image that could not be read so far."""
        return [self._skipped[number] for number in sorted(self._skipped)]

    @property
    def fingerprint(self) -> str:
        """Changes when the files (their names or sizes), the choice among them or the crop change."""
        return fingerprint(self._listing.mark, repr(self.settings), repr(list(self._numbers)))

    def sample(self, count: int, seed: int = 0) -> "Images":
        """At most `count` images drawn at random, in the order of the source.

        Raises:
            SmaltiError: `count` is less than 1.
        """
        return self.split(count, seed)[0]

    def split(self, count: int, seed: int = 0) -> tuple["Images", "Images"]:
        """At most `count` images drawn at random, and all others, both in the order of the source.

        Raises:
            SmaltiError: `count` is less than 1.
        """
        require_at_least(1, images=count)
        order = keyed_order(seed, 0, len(self)).tolist()
        return self._only(sorted(order[:count])), self._only(sorted(order[count:]))

    def cropped(self, settings: CropSettings) -> "Images":
        """The same images, cropped otherwise."""
        return self._like(self._numbers, settings)

    def part(self, start: int, stop: int) -> "Images":
        """Those from one position to another, in the order of the source."""
        return self._like(self._numbers[start:stop], self.settings)

    def keeping_shapes(self, patch: int) -> "Images":
        """The same images, cropped to several sizes of about one area, each to that nearest to its own shape.

        The sizes are those of `sizes_like` that enough of them have, in the order of how many: one alone is that of
        all.

        Raises:
            SmaltiError: the size that they are cropped to is no square.
        """
        if not isinstance(self.settings.size, int):
            raise SmaltiError("photos that keep their shapes have the area of a square; give --size one number.")
        shapes = [shape for shape in self._shapes(self._numbers) if shape is not None]
        sizes = common_sizes(shapes, sizes_like(self.settings.size, patch))
        more = {"sizes": tuple(sizes)} if len(sizes) > 1 else {"size": sizes[0]}
        return self.cropped(replace(self.settings, **more))

    def by_size(self) -> "dict[tuple[int, int], Images]":
        """Those that take each of several sizes, where some do; of the first are those that cannot be read, too."""
        sizes = self.settings.sizes
        found: dict[tuple[int, int], list[int]] = {size: [] for size in sizes}
        for number, shape in zip(self._numbers, self._shapes(self._numbers), strict=True):
            found[sizes[0] if shape is None else nearest_size(shape, sizes)].append(number)
        return {
            size: Images(
                self._listing,
                numbers,
                replace(self.settings, size=size, sizes=()),
                self.source,
                self._strict,
                self._depth,
            )
            for size, numbers in found.items()
            if numbers
        }

    def _only(self, positions: list[int]) -> "Images":
        return self._like([self._numbers[position] for position in positions], self.settings)

    def _like(self, numbers: Sequence[int], settings: CropSettings) -> "Images":
        return Images(self._listing, numbers, settings, self.source, self._strict, self._depth, self._shapes)

    def _ahead(self, view: int, threads: int) -> Iterator[Picture | Unreadable]:
        """Each image, decoded by threads before it is asked for."""
        with ThreadPoolExecutor(threads) as pool:
            decode, most = partial(self._decode, view=view), threads * _LOOK_AHEAD
            with closing(in_turn(pool, decode, self._numbers, _nbytes, least=threads, most=most)) as decoded:
                yield from decoded

    def _decode(self, number: int, view: int) -> Picture | Unreadable:
        name = self._listing.names[number]
        try:
            pixels = decode_picture(self._listing.read(number), self.settings, number, view, self._depth.range)
        except Exception as error:  # a damaged file makes Pillow and its codecs raise nearly anything
            return Unreadable(number, name, why_unreadable(error))
        return Picture(number, name, self._listing.labels_of(number), pixels)


def _nbytes(outcome: Picture | Unreadable) -> int:
    return outcome.pixels.nbytes if isinstance(outcome, Picture) else 0
