"""Images of an LMDB, as LSUN (Yu et al. 2015) comes: keys that are names, values that are the files' bytes."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from smalti.errors import SmaltiError


class LmdbRows:
    """The rows of a database, read one by one when they are asked for; only the keys are held in memory."""

    def __init__(self, folder: Path):
        """List the keys; no image is read.

        Raises:
            SmaltiError: the package `lmdb` is missing, or the folder holds no database.
        """
        self._database, self._keys = _opened(folder.resolve())

    def __len__(self) -> int:
        """Images, readable or not."""
        return len(self._keys)

    def __getitem__(self, key: int | str) -> Any:
        """A row by its number, as a dataset of `datasets` has it; or, of the columns, "name"."""
        if isinstance(key, str):
            return self._names
        with self._database.begin() as reading:
            content = reading.get(self._keys[key])
        return {"image": {"bytes": content, "path": None}, "name": self._names[key], "label": None}

    @cached_property
    def _names(self) -> list[str]:
        return [key.decode(errors="replace") for key in self._keys]


@lru_cache
def _opened(folder: Path) -> tuple[Any, list[bytes]]:
    """The database, which a process may open only once, and its keys."""
    try:
        import lmdb
    except ImportError as error:
        raise SmaltiError(f"{folder}: reading an LMDB takes the package lmdb; pip install 'smalti[lmdb]'.") from error
    try:
        database = lmdb.open(str(folder), readonly=True, lock=False, readahead=False)
        pages = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
        if (folder / "data.mdb").stat().st_size < pages:  # reading beyond the end would kill the process
            raise lmdb.CorruptedError("it is cut short")
        with database.begin() as reading:
            return database, list(reading.cursor().iternext(values=False))
    except lmdb.Error as error:
        raise SmaltiError(f"{folder}: cannot be read as an LMDB ({error}); copy it again.") from error
