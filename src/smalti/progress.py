"""How far something has come: a bar on a terminal, and elsewhere, as in a log file, a plain line now and then."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

__all__ = ["Progress", "is_shown_live", "quiet", "while_starting"]

_EVERY = 60.0  # seconds between plain lines; what takes less says nothing
_LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s, {rate_fmt}, {remaining} left{postfix}"

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Show no progress of what is begun in the block."""
    before = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(before)


def is_shown_live() -> bool:
    """Whether progress is shown by something that moves: on a terminal, unless told to be quiet."""
    return sys.stderr.isatty() and not _quiet.get()


@contextmanager
def while_starting(what: str) -> Iterator[None]:
    """Show on a terminal that something has been heard, and wipe that out again: imports take seconds."""
    if not sys.stderr.isatty():
        yield
        return
    line = f"{what}: starting ..."
    print(line, end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print(" " * len(line), end="\r", file=sys.stderr, flush=True)


class Progress(tqdm):
    """The bar of tqdm, with its arguments, on a terminal; on anything else plain lines, at most one a minute."""

    def __init__(self, *args: Any, disable: bool = False, **options: Any):
        if not sys.stderr.isatty():
            lines = {"file": _Lines(sys.stderr), "bar_format": _LINE, "delay": _EVERY}
            options |= {**lines, "mininterval": _EVERY, "maxinterval": _EVERY}
        super().__init__(*args, disable=disable or _quiet.get(), **options)

    def say(self, **figures: str) -> None:
        """Figures to show beside it from now on."""
        self.set_postfix(figures, refresh=is_shown_live())


class _Lines:
    """A text file that gets what is written to redraw a line as a line of its own."""

    def __init__(self, file: Any):
        self._file = file

    def write(self, text: str) -> None:
        line = text.strip()  # of returns, and of blanks that wipe out what was longer
        if line:
            self._file.write(f"{line}\n")

    def flush(self) -> None:
        self._file.flush()
