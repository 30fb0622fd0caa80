"""One writer a folder, and what a writer that was killed leaves of files it had begun."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from smalti.errors import SmaltiError, readable

__all__ = ["LOCK", "PARTIAL", "UNFINISHED", "WRITER", "is_unfinished_file", "only_writer"]

LOCK, WRITER = ".lock", ".writer"
PARTIAL = ".partial"
UNFINISHED = re.compile(r"(\..*\.)([0-9a-f]{8}|\d+)\.partial")
"""Names of what is being written; a number was that of a process, in earlier versions."""


def is_unfinished_file(path: Path) -> bool:
    """Whether a file was being written when its writer was killed, or is."""
    return bool(UNFINISHED.fullmatch(path.name)) and path.is_file()


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


def _writing(writer: Path) -> str:
    """Who holds a lock, as it said itself."""
    try:
        return readable(writer.read_text(encoding="utf-8")[:100]) or "another process"
    except (OSError, ValueError):  # it has just come, or gone
        return "another process"
