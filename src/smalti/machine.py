"""What something was made by, with and on: the command, versions and machine."""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["MADE_WITH", "commanded", "machine", "made_with", "versions"]

_RECORDED_PACKAGES = ("smalti", "torch", "diffusers", "accelerate", "faiss-cpu", "datasets", "numpy", "pillow")

MADE_WITH = ("command", "versions", "machine")
"""The entries of records that say it."""

_command: ContextVar[Mapping[str, Any] | None] = ContextVar("command", default=None)


@contextmanager
def commanded(verb: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Let what is recorded in the block say that it was made by a verb of the command line, and with which options."""
    before = _command.set({"verb": verb, "options": dict(options)})
    try:
        yield
    finally:
        _command.reset(before)


def made_with() -> dict[str, Any]:
    """What records say: the command, where there was one, versions and machine."""
    command = _command.get()
    return {**({} if command is None else {"command": command}), "versions": versions(), "machine": machine()}


def machine() -> dict[str, Any]:
    """The machine a figure was taken on: system, processor, processors this process may use, Python."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """The versions of the packages that results depend on, as far as they are installed."""
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
