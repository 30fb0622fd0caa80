"""Many names in little memory."""

from array import array
from collections.abc import Iterable, Sequence
from typing import overload


def parts_of(name: str) -> tuple[str, ...]:
    """The folders of a path with slashes, and its file, as `PurePosixPath` has them, which never forgets a word."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    return ("/", *parts) if name.startswith("/") else parts or (name,)


class Names(Sequence[str]):
    """Texts one after the other as UTF-8, and where each ends: eight bytes a text beside its letters."""

    def __init__(self, names: Iterable[str] = ()):
        self._letters = bytearray()
        self._ends = array("Q", [0])
        for name in names:
            self.append(name)

    def append(self, name: str) -> None:
        """Add one, which may hold bytes that are no UTF-8, as Python has them in names of files."""
        self._letters += name.encode(errors="surrogatepass")
        self._ends.append(len(self._letters))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        return self._letters[self._ends[at] : self._ends[at + 1]].decode(errors="surrogatepass")
