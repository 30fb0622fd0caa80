"""Folders that are whole or absent, JSON records, locks, fingerprints."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from smalti.errors import SmaltiError

__all__ = [
    "fingerprint",
    "machine",
    "new_folder",
    "only_writer",
    "read_json",
    "record",
    "refuse_occupied",
    "replace_file",
    "write_json",
]

_RECORDED_PACKAGES = ("smalti", "torch", "diffusers", "accelerate", "faiss-cpu", "datasets", "numpy", "pillow")


def refuse_occupied(folder: Path) -> None:
    """Raise `SmaltiError` unless `folder` is absent or an empty folder."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise SmaltiError(f"{folder}: the output folder is not empty; name a new one or empty it first.")
    elif folder.exists():
        raise SmaltiError(f"{folder}: a file of that name is in the way; name another output folder.")


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """Yield a hidden folder beside `folder` to write into; it takes the name `folder` only once it is whole.

    What was written is flushed to disk before the rename, so that after a crash `folder` is either complete or not
    there. On an error the hidden folder is removed, together with the parents that were made for it.

    Raises:
        SmaltiError: `folder` exists and is not an empty folder.
    """
    folder = Path(folder)
    refuse_occupied(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    for left in folder.parent.glob(f".{folder.name}.*.partial"):
        if not _runs(left.name.split(".")[-2]):
            shutil.rmtree(left)  # of a process that was killed
    made = [parent for parent in folder.parents if not parent.exists()]
    aside.mkdir(parents=True)
    try:
        yield aside
        _sync(aside)
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        for parent in made:
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()
        raise


def replace_file(source: Path, target: Path) -> None:
    """Put the file `source` in the place of `target` in one step, flushed to disk; both on the same file system."""
    _flush(source)
    source.replace(target)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, in one step: a reader finds the old file or the new one, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    aside.write_text(json.dumps(content, indent=2, default=_plain) + "\n", encoding="utf-8")
    replace_file(aside, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SmaltiError: the file is missing, cut short, or holds something other than an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SmaltiError(f"{path}: the file is missing; make the folder again or copy it whole.") from None
    except (OSError, ValueError) as error:
        raise SmaltiError(f"{path}: not readable as JSON ({error}); make the folder again or copy it whole.") from None
    if not isinstance(content, dict):
        raise SmaltiError(f"{path}: holds no JSON object; make the folder again or copy it whole.")
    return content


def record(**content: Any) -> dict[str, Any]:
    """`content` with the versions and the machine it was made with: what every verb writes beside its output."""
    return {**content, "versions": _versions(), "machine": machine()}


def machine() -> dict[str, Any]:
    """The machine a figure was taken on: system, processor, processors this process may use, Python."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }


def fingerprint(*parts: str | np.ndarray) -> str:
    """16 hexadecimal digits that change when any text, or any array's shape, type or content, changes."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"text:{len(part)}:".encode() + part.encode())
        else:
            digest.update(f"array:{part.shape}:{part.dtype.str}:".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` while in the block, so that two runs do not write into each other's files.

    Raises:
        SmaltiError: another process holds it.
    """
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise SmaltiError(f"{folder}: another process is writing there; wait for it or name another folder.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _versions() -> dict[str, str]:
    found = {}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        pass
    return True


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            _flush(path)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
