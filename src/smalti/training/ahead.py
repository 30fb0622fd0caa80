"""Batches made before they are asked for, so that an accelerator need not wait for them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from torch import Tensor

Batch = dict[str, Tensor]

Batches = Callable[[Sequence[int]], Batch]
"""The images of some running numbers as tensors (B, ...), the same whatever happened before and whoever asks: all that
is drawn at random is in them. Threads may ask at once."""


class Ahead:
    """The batches that come next, made by so many threads; with none, when they are asked for.

    Since a batch follows from its numbers alone, it is the same whenever it is made.
    """

    def __init__(self, threads: int):
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "smalti-ahead") if threads else None
        self._made_by: Batches | None = None
        self._waiting: dict[range, Future[Batch]] = {}

    def __call__(self, batches: Batches, following: Iterator[range]) -> Batch:
        """The batch of the first numbers that follow; the next of them, as many as there are threads, are begun.

        Raises:
            Exception: whatever `batches` raises, of the numbers that are asked for.
        """
        numbers = next(following)
        if self._pool is None:
            return batches(numbers)
        if batches is not self._made_by:
            self._made_by, self._waiting = batches, {}
        wanted = [numbers, *islice(following, self._threads)]
        self._waiting = {each: self._waiting.get(each) or self._pool.submit(batches, each) for each in wanted}
        return self._waiting.pop(numbers).result()
