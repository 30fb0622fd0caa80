"""Files elsewhere, by their addresses (https://, s3://, hf:// ...): read by ranges, where they lie."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from braceexpand import braceexpand

from smalti.errors import SmaltiError

__all__ = ["Place", "Remote", "braces", "file_size", "find_remote", "is_remote", "opened"]

_MARK = "://"
_BLOCK = 2**20  # bytes that are asked for at once while a file is gone through
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Remote:
    """A file elsewhere."""

    url: str
    size: int

    @property
    def name(self) -> str:
        """The last part of its address, without a query."""
        return PurePosixPath(self.url.partition("?")[0]).name

    @property
    def parent(self) -> PurePosixPath:
        """All of its address but the name."""
        return PurePosixPath(self.url.partition("?")[0]).parent

    def __str__(self) -> str:
        """Its address."""
        return self.url

    def open(self) -> Any:
        """A file that is read and sought in, of which those parts are fetched: a class of whatever library.

        Raises:
            SmaltiError: it cannot be had.
        """
        with _one_sentence(self.url):
            system, path = _system(self.url)
            return system.open(path, "rb", block_size=_BLOCK, cache_type="readahead")

    def range(self, offset: int, count: int) -> bytes:
        """Some bytes of it; threads may ask at once.

        Raises:
            SmaltiError: they cannot be had, asked for three times.
        """
        with _one_sentence(self.url):
            system, path = _system(self.url)
            for left in reversed(range(_TRIES)):
                try:
                    return system.cat_file(path, start=offset, end=offset + count)
                except Exception:  # of whatever library speaks that protocol
                    if not left:
                        raise
            raise AssertionError


Place = Path | Remote
"""Where a file lies."""


def is_remote(source: str) -> bool:
    """Whether a source is an address."""
    return _MARK in source


def braces(source: str) -> list[str]:
    """The names that a pattern such as `shards-{000..012}.tar` or `{a,b}.zip` stands for; any other stands for itself.

    Raises:
        SmaltiError: a brace is not closed.
    """
    try:
        return list(braceexpand(source)) if "{" in source else [source]
    except ValueError as error:
        raise SmaltiError(f"{source}: a brace is not closed; close it, or name the files by a glob.") from error


def opened(place: Place) -> Any:
    """A file, here or elsewhere, that can be sought in."""
    return place.open("rb") if isinstance(place, Path) else place.open()


def file_size(place: Place) -> int:
    """Of how many bytes a file is."""
    return place.stat().st_size if isinstance(place, Path) else place.size


def find_remote(source: str) -> list[Remote]:
    """The files that an address names: one file, a glob of some, or a folder of those under it.

    Raises:
        SmaltiError: there are none, or they cannot be had.
    """
    with _one_sentence(source):
        system, path = _system(source)
        scheme = source.partition(_MARK)[0]
        if scheme in ("http", "https"):  # which know neither folders nor patterns
            return [_sized(system, path, source)]
        if glob.has_magic(path):
            found = sorted(system.glob(path))
        else:
            found = sorted(system.find(path)) if system.isdir(path) else [path]
        if not found:
            raise FileNotFoundError("no file matches")
        return [_sized(system, name, f"{scheme}{_MARK}{str(name).removeprefix(f'{scheme}{_MARK}')}") for name in found]


def _sized(system: Any, path: str, url: str) -> Remote:
    information = system.info(path)
    if information.get("size") is None or information.get("partial") is False:
        raise OSError("the server does not say its size, or does not send parts of it")
    return Remote(url, int(information["size"]))


@lru_cache
def _system(url: str) -> tuple[Any, str]:
    return fsspec.core.url_to_fs(url)


@contextmanager
def _one_sentence(url: str) -> Iterator[None]:
    try:
        yield
    except (SmaltiError, MemoryError):
        raise
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise SmaltiError(
            f"{url}: such addresses take other packages ({reason}); pip install 'fsspec[http,s3]'."
        ) from error
    except Exception as error:  # of whatever library speaks that protocol
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise SmaltiError(f"{url}: cannot be had ({reason}); check the address, or go on when it can.") from error
