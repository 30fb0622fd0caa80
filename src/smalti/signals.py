"""Being told to end, by Ctrl-C or by SIGTERM (a service, a container, a batch system): at once, or after a step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Ended", "ending", "ending_later"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ended(KeyboardInterrupt):
    """The program was told to end; the text says what it has kept, the number by which signal."""

    def __init__(self, number: int, kept: str | None = None):
        super().__init__(kept or "told to end; what was half done is cleared away")
        self.number = number
        self.kept = kept


@contextmanager
def ending() -> Iterator[None]:
    """Raise `Ended` at either signal for as long as the block lasts, so that what is half done is cleared away."""

    def end(number: int, frame: Any) -> None:
        raise Ended(number)

    with _handled(end):
        yield


@contextmanager
def ending_later() -> Iterator[Callable[[], int | None]]:
    """A function that tells the signal that came, if one did: the block ends itself when it has come so far.

    A second signal does what the first would have done before the block.
    """
    came: list[int] = []
    with _handled(lambda number, frame: (came.append(number), restore())) as restore:
        yield lambda: came[0] if came else None


@contextmanager
def _handled(handler: Callable[[int, Any], object]) -> Iterator[Callable[[], None]]:
    """Signals go to a handler; yield what gives them back. Python hands them to its main thread alone."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, handler) for number in _SIGNALS}

    def restore() -> None:
        for number, earlier in before.items():
            signal.signal(number, earlier)

    try:
        yield restore
    finally:
        restore()
