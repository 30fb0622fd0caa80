"""Folders that are whole or absent, JSON records, fingerprints."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from smalti.errors import SmaltiError
from smalti.locks import (
    LOCK,
    PARTIAL,
    WRITER,
    clear_left,
    hidden_name,
    is_unfinished_file,
    lock_of,
    only_writer,
    refuse_written,
    unfinished,
)
from smalti.machine import made_with
from smalti.signals import Ended

__all__ = [
    "beside",
    "fingerprint",
    "json_lines",
    "new_folder",
    "read_json",
    "read_json_lines",
    "record",
    "refuse_occupied",
    "replace_file",
    "write_json",
    "write_record",
    "write_whole",
    "written",
]

_MOST_JSON = 2**30  # bytes: more than a record of some million files has
_DIGEST = "digest"


def refuse_occupied(folder: Path) -> None:
    """Raise `SmaltiError` unless `folder` is absent or an empty folder; what killed processes left in it is cleared."""
    if folder.is_dir():
        clear_left(folder)
        if (folder / LOCK).exists() or any(map(is_unfinished_file, folder.iterdir())):
            with only_writer(folder):  # or somebody's work would be taken for leftovers
                pass
        if any(path.name not in (LOCK, WRITER) for path in folder.iterdir()):
            raise SmaltiError(f"{folder}: the output folder is not empty; name a new one or empty it first.")
    elif folder.exists() or folder.is_symlink():
        raise SmaltiError(f"{folder}: a file of that name is in the way; name another output folder.")


@contextmanager
def new_folder(folder: str | Path, *, kept: str | None = None, resume: bool = False) -> Iterator[Path]:
    """Yield a hidden folder to write into; what is in it appears as `folder` only once it is whole.

    It lies beside `folder` and takes its name in one step; where `folder` is there already, and empty, it lies in it,
    since a mount point or a link cannot be replaced: all of it is then moved out, records last. What was written is
    flushed to disk before. Whoever writes holds a lock, so that what a process left that was killed is known, and
    cleared, by the next. On an error the hidden folder is removed, together with the parents that were made for it.

    Where a file called `kept` is in it, it is not removed on an error: the next start with `resume` goes on in it, any
    other clears it.

    Raises:
        SmaltiError: `folder` exists and is not an empty folder, or another process writes what could be resumed.
    """
    folder = Path(folder)
    left = unfinished(folder) if resume else None
    inside = left.parent == folder if left else folder.is_dir()
    if left is None or not inside:
        refuse_occupied(folder)
    made = [parent for parent in folder.parents if not parent.exists()]
    place = folder if inside else folder.parent
    place.mkdir(parents=True, exist_ok=True)
    if left is None:
        clear_left(place, folder.name)
        if kept is not None:
            refuse_written(folder)
    aside = left or place / f"{hidden_name(folder.name)}{secrets.token_hex(4)}{PARTIAL}"
    lock = FileLock(lock_of(aside), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise SmaltiError(f"{folder}: another process is writing there; wait for it or name another folder.") from None
    try:
        aside.mkdir(exist_ok=left is not None)
        for path in list(folder.iterdir()) if left and inside else []:  # moved out before it was killed
            if path not in (aside, lock_of(aside)):
                path.rename(aside / path.name)
        yield aside
        _sync(aside)
        if inside:
            for path in sorted(aside.iterdir(), key=lambda path: path.suffix == ".json"):
                path.rename(folder / path.name)
            aside.rmdir()
        else:
            aside.rename(folder)
        lock_of(aside).unlink()
    except BaseException as error:
        if kept is None or not (aside / kept).is_file():
            shutil.rmtree(aside, ignore_errors=True)
            lock_of(aside).unlink(missing_ok=True)
            for parent in made:
                if parent.exists() and not any(parent.iterdir()):
                    parent.rmdir()
            if isinstance(error, Ended):  # whatever was kept so far, as of a training, is not kept now
                raise Ended(error.number) from error
        raise
    finally:
        lock.release()


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Let a library write into a file or folder; where it cannot, say so in a sentence, as the system does.

    Raises:
        SmaltiError: it could not: numpy and safetensors have errors of their own for that, which name no file.
    """
    try:
        yield
    except (SafetensorError, OSError) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise SmaltiError(
            f"{path}: cannot be written ({' '.join(str(error).split())}); make room on the disk, or name another place."
        ) from error


def replace_file(source: Path, target: Path) -> None:
    """Put the file `source` in the place of `target` in one step, flushed to disk; both on the same file system."""
    _flush(source)
    source.replace(target)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step: a reader finds the old one or the new one, never a part."""
    aside = path.with_name(f"{hidden_name(path.name)}{secrets.token_hex(4)}{PARTIAL}")
    try:
        with written(path):
            aside.write_bytes(content)
        replace_file(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any], *, digest: bool = False) -> None:
    """Write `content` as indented JSON, in one step: a reader finds the old file or the new one, never a part.

    JSON has no infinity and no NaN: such numbers are written as null. With `digest` the last entry tells `read_json`
    whether it reads what was written.
    """
    text = json.dumps(_finite(content), indent=2, default=_plain, allow_nan=False)
    if digest:
        plain = json.loads(text)
        text = json.dumps({**plain, _DIGEST: _digest(plain)}, indent=2)
    write_whole(path, f"{text}\n".encode())


def write_record(path: Path, **content: Any) -> None:
    """Write what a verb keeps beside its output: JSON with versions and machine, and its digest."""
    write_json(path, record(**content), digest=True)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, without its digest, if it carries one.

    Raises:
        SmaltiError: the file is missing, cut short, not what was written, or holds something other than an object.
    """
    try:
        if path.stat().st_size > _MOST_JSON:
            raise ValueError(f"it has more than {_MOST_JSON:,} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SmaltiError(f"{path}: the file is missing; make the folder again or copy it whole.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SmaltiError(f"{path}: not readable as JSON ({error}); make the folder again or copy it whole.") from None
    if not isinstance(content, dict):
        raise SmaltiError(f"{path}: holds no JSON object; make the folder again or copy it whole.")
    if _DIGEST in content and content.pop(_DIGEST) != _digest(content):
        raise SmaltiError(
            f"{path}: is not what was written there (by its digest); copy it again, or remove its last entry, "
            f"'{_DIGEST}', if it was changed on purpose."
        )
    return content


def beside(folder: Path, name: Any) -> Path:
    """The file of a folder that a record in it names.

    Raises:
        SmaltiError: it names none, but what lies elsewhere.
    """
    if not isinstance(name, str) or not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise SmaltiError(f"{folder}: says that {name!r} is one of its files; make the folder again or copy it whole.")
    return folder / name


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file that holds one a line; none where there is no file."""
    return json_lines(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else []


def json_lines(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a text, one a line; lines that a crash has cut or blotted are left out."""
    found = []
    for line in text.splitlines():
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            continue
        found += [content] if isinstance(content, dict) else []
    return found


def record(**content: Any) -> dict[str, Any]:
    """`content` with the command, versions and machine it was made with: what every verb writes beside its output."""
    return {**content, **made_with()}


def fingerprint(*parts: str | np.ndarray) -> str:
    """16 hexadecimal digits that change when any text, or any array's shape, type or content, changes."""
    return fingerprint_of(parts)


def fingerprint_of(parts: Iterable[str | np.ndarray]) -> str:
    """The same of parts that need not be in memory all at once."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"text:{len(part)}:".encode() + part.encode(errors="backslashreplace"))
        else:
            digest.update(f"array:{part.shape}:{part.dtype.str}:".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def _digest(content: Mapping[str, Any]) -> str:
    return fingerprint(json.dumps(content, sort_keys=True))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float | np.floating) and not np.isfinite(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            _flush(path)


def _flush(path: Path) -> None:
    # Windows flushes only what was opened for writing, which others do not need and a file may forbid.
    with path.open("rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())
