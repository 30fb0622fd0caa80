"""What was found at a source: pictures with their names and labels, undecoded; and what was left aside, and why."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from smalti.errors import readable

_NAMED = 3  # examples of a reason


class Aside:
    """What is at a source and not taken: how many by reason, and the names of the first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, *names: str) -> None:
        """Leave something aside."""
        self.counts[reason] += len(names)
        kept = self._names.setdefault(reason, [])
        kept += names[: _NAMED - len(kept)]

    def include(self, other: "Aside") -> None:
        """Leave aside what another does."""
        self.counts += other.counts
        self._names = {**other._names, **self._names}

    def __str__(self) -> str:
        """All of it in words; nothing where nothing was left aside."""
        return "; ".join(
            f"{count} {reason} ({', '.join(self._names[reason])}{', ...' if count > len(self._names[reason]) else ''})"
            for reason, count in self.counts.items()
            if count
        )


@dataclass(frozen=True)
class Listing:
    """Pictures in a fixed order, whose bytes are read when they are asked for, by any thread or process."""

    names: Sequence[str]
    """Each as its source calls it."""
    read: Callable[[int], bytes]
    """The file's content by its number; it can be sent to another process, which opens what it reads itself."""
    mark: str
    """Changes with the pictures."""
    labels: Sequence[tuple[int, ...]] | None = None
    """Numbers of the classes of each, of some maybe none and of others several; nothing where all have none."""
    classes: Sequence[str] = ()
    aside: Aside = field(default_factory=Aside)
    bytes: int = 0
    """Of all pictures, where that is known."""

    def labels_of(self, number: int) -> tuple[int, ...]:
        """The classes of a picture, if it has any."""
        return () if self.labels is None else self.labels[number]


Place = tuple[int, tuple[str, ...]]
"""Which part of an archive, and the whole path of a file or folder there."""


@dataclass(frozen=True, slots=True)
class File:
    """A picture: its number in the archive, and its path, of which folders are taken away from the front."""

    number: int
    parts: tuple[str, ...]
    place: Place
    """The folder that it lies in."""

    @property
    def name(self) -> str:
        """What is left of its path."""
        return "/".join(self.parts)

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.parts[-1].rpartition(".")[0] or self.parts[-1]


Labelled = tuple[list[tuple[int, ...]] | None, list[str]]
"""The classes of each picture by their numbers, and what they are called."""


def as_classes(values: Sequence[Any]) -> Labelled:
    """Labels of any kind as numbers of their sorted values, numbers sorted as numbers; one value alone is no label.

    Of a picture that is one value, a list of several, or None.
    """
    lists = [labels_in(value) for value in values]
    distinct = {label for labels in lists for label in labels}
    if len(distinct) < 2:
        return None, []
    numbers = {value: _as_whole(value) for value in distinct}
    by_number = None not in numbers.values()
    ordered = sorted(distinct, key=lambda value: (numbers[value] or 0 if by_number else 0, str(value)))
    index = {value: number for number, value in enumerate(ordered)}
    alone = [(number,) for number in range(len(ordered))]  # nearly all have one, which need not be a tuple each
    numbered = [alone[index[own[0]]] if len(own) == 1 else tuple(index[label] for label in own) for own in lists]
    return numbered, [readable(str(value)) for value in ordered]


def labels_in(value: Any) -> list[Any]:
    """The labels that a value of a table holds, each once: itself, those of a list, or none."""
    if value is None:
        return []
    return list(dict.fromkeys(value)) if isinstance(value, list) else [value]


def _as_whole(value: Any) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
