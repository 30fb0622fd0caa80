"""One writer a folder, and what a writer that was killed leaves of files and folders it had begun."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from smalti.errors import SmaltiError, readable

__all__ = [
    "LOCK",
    "PARTIAL",
    "WRITER",
    "clear_left",
    "clear_unfinished",
    "hidden_name",
    "is_unfinished_file",
    "lock_of",
    "only_writer",
    "refuse_locked",
    "refuse_written",
    "unfinished",
]

LOCK, WRITER = ".lock", ".writer"
PARTIAL = ".partial"
_NAME_KEPT = 100  # bytes
_UNFINISHED = re.compile(r"(\..*\.)([0-9a-f]{8}|\d+)\.partial")
"""Names of what is being written; a number was that of a process, in earlier versions."""


def is_unfinished_file(path: Path) -> bool:
    """Whether a file was being written when its writer was killed, or is."""
    return bool(_UNFINISHED.fullmatch(path.name)) and path.is_file()


def unfinished(folder: Path) -> Path | None:
    """What was left of a `new_folder` that did not become whole, or is being written."""
    places = [place for place in (folder, folder.parent) if place.is_dir()]
    return next((path for place in places for path in place.iterdir() if _is_left(path, folder.name)), None)


def clear_left(place: Path, name: str | None = None) -> None:
    """Clear unfinished folders, of one name or of any, that nobody writes into any more."""
    for path in list(place.iterdir()):
        if _is_left(path, name):
            lock = FileLock(lock_of(path), timeout=0)
            with suppress(Timeout), lock:
                shutil.rmtree(path, ignore_errors=True)
                lock_of(path).unlink(missing_ok=True)


def clear_unfinished(folder: Path) -> bool:
    """Clear what was left of a `new_folder` that did not become whole; whether there was something.

    Raises:
        SmaltiError: another process is writing it.
    """
    left = unfinished(folder)
    if left is not None:
        clear_left(left.parent, folder.name)
        refuse_written(folder)
    return left is not None


def refuse_written(folder: Path) -> None:
    """Refuse a folder of which something unfinished is left where what nobody writes was cleared.

    Raises:
        SmaltiError: there is something.
    """
    if unfinished(folder) is not None:
        raise SmaltiError(f"{folder}: another process is writing there; wait for it or name another folder.")


def hidden_name(name: str) -> str:
    """What the names of unfinished folders begin with; cut, since file systems limit names to 255 bytes."""
    return f".{os.fsencode(name)[:_NAME_KEPT].decode(errors='ignore')}."


def lock_of(aside: Path) -> Path:
    """Where who writes an unfinished folder holds a lock."""
    return aside.with_name(f"{aside.name}.lock")


def _is_left(path: Path, name: str | None) -> bool:
    """Whether a path is an unfinished folder, of one name or of any."""
    match = _UNFINISHED.fullmatch(path.name)
    return match is not None and (name is None or match[1] == hidden_name(name)) and path.is_dir()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` while in the block, so that two runs do not write into each other's files.

    A folder that is not there is made, and removed again if nothing is written. What a process that was killed left of
    files it was writing is cleared. A block within such a block of the same process holds the lock already.

    Raises:
        SmaltiError: another process holds it; which one is said.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise SmaltiError(f"{folder}: a file of that name is in the way; name another output folder.") from None
    lock, writer = FileLock(folder / LOCK, timeout=0, is_singleton=True), folder / WRITER
    try:
        with lock:
            if lock.lock_counter > 1:
                yield
                return
            for path in folder.iterdir():
                if is_unfinished_file(path):
                    path.unlink(missing_ok=True)
            with suppress(OSError):  # no room: others are told less
                writer.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            try:
                yield
            finally:
                writer.unlink(missing_ok=True)
                if made and [path.name for path in folder.iterdir()] == [LOCK]:
                    (folder / LOCK).unlink()
                    for each in made:
                        if not any(each.iterdir()):
                            each.rmdir()
    except Timeout:
        raise SmaltiError(
            f"{folder}: {_writing(writer)} is writing there; wait for it, or name another folder."
        ) from None


def refuse_locked(folder: Path) -> None:
    """Refuse a folder whose lock another process holds; nothing is put there.

    Raises:
        SmaltiError: so it is; which one is said.
    """
    if (folder / LOCK).is_file():
        with only_writer(folder):
            pass


def _writing(writer: Path) -> str:
    """Who holds a lock, as it said itself."""
    try:
        return readable(writer.read_text(encoding="utf-8")[:100]) or "another process"
    except (OSError, ValueError):  # it has just come, or gone
        return "another process"
