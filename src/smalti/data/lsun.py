"""Images of an LMDB, as LSUN (Yu et al. 2015) comes: keys that are names, values that are the files' bytes."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from smalti.data.listing import Listing
from smalti.errors import SmaltiError, readable
from smalti.files import fingerprint


def listed_lmdb(folder: Path) -> Listing:
    """The values of a database, read one by one when they are asked for; only the keys are held in memory.

    Raises:
        SmaltiError: the package `lmdb` is missing, or the folder holds no database.
    """
    keys = _opened(folder.resolve())[1]
    mark = fingerprint(folder.name, str(len(keys)), str((folder / "data.mdb").stat().st_size))
    return Listing([readable(os.fsdecode(key)) for key in keys], _Values(folder.resolve()), mark)


@dataclass(frozen=True, slots=True)
class _Values:
    """Reads values by the places of their keys."""

    folder: Path

    def __call__(self, number: int) -> bytes:
        database, keys = _opened(self.folder)
        with database.begin() as reading:
            return reading.get(keys[number])


@lru_cache
def _opened(folder: Path) -> tuple[Any, list[bytes]]:
    """The database, which a process may open only once, and its keys."""
    try:
        import lmdb
    except ImportError as error:
        raise SmaltiError(f"{folder}: reading an LMDB takes the package lmdb; pip install lmdb.") from error
    try:
        database = lmdb.open(str(folder), readonly=True, lock=False, readahead=False)
        pages = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
        if (folder / "data.mdb").stat().st_size < pages:  # reading beyond the end would kill the process
            raise lmdb.CorruptedError("it is cut short")
        with database.begin() as reading:
            return database, list(reading.cursor().iternext(values=False))
    except lmdb.Error as error:
        raise SmaltiError(f"{folder}: cannot be read as an LMDB ({error}); copy it again.") from error
