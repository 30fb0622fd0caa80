"""The cores of a CPU, shared by threads that have one each: they do not wait for each other at every operation."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import repeat
from typing import TypeVar

import torch
from torch import Tensor

CPU = torch.device("cpu")

__all__ = ["in_parts", "in_turn", "joined", "limited_threads", "on_cores", "pool_of_cores"]

T = TypeVar("T")
Part = TypeVar("Part")

_AHEAD_BYTES = 2**27


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """PyTorch computes with so many threads for as long as the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_cores(work: Callable[[Part], T], parts: Sequence[Part], device: torch.device = CPU) -> list[T]:
    """What `work` makes of each part, in order; each is worked on by one core, as many at once as there are threads.

    PyTorch computes without the interpreter's lock, so this is faster than all threads at each of many small
    operations, and does not wait for one that has to share its core. Gradients are made where they are made here. On
    another `device` parts are worked on one after the other.
    """
    threads = min(torch.get_num_threads(), len(parts))
    if threads <= 1 or device.type != "cpu":
        return [work(part) for part in parts]
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alone(part: Part) -> T:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return work(part)

    with limited_threads(1):  # which a thread of Python begins with
        return list(pool_of_cores(threads).map(alone, parts))


def in_parts(work: Callable[..., Tensor], count: int, *batches: Tensor | None) -> Tensor:
    """What `work` makes of batches, of `count` of their rows at a time; on a CPU each core has some of the parts."""
    parts = list(zip(*[repeat(None) if batch is None else batch.split(count) for batch in batches], strict=False))
    device = next(batch.device for batch in batches if batch is not None)
    return joined(on_cores(lambda part: work(*part), parts, device))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Batches one after the other, stored in the order that the first is: `torch.cat` would turn others round."""
    if len(parts) == 1:
        return parts[0]
    stored = sorted(range(parts[0].ndim), key=parts[0].stride, reverse=True)
    whole = torch.cat([part.permute(stored) for part in parts], dim=stored.index(0))
    return whole.permute([stored.index(dim) for dim in range(whole.ndim)])


def in_turn(
    pool: Executor, work: Callable[[Part], T], parts: Iterable[Part], nbytes: Callable[[T], int], least: int, most: int
) -> Generator[T, None, None]:
    """What `work` makes of each part, in order, worked on by a pool before it is asked for.

    At most `most` parts are ahead, and fewer, but `least`, where what came last has so many bytes (0 where none can be
    told) that they would take much memory. No part is begun once this is left.
    """
    waiting: deque[Future[T]] = deque()
    ahead = least  # until it is known how large they are
    try:
        for part in parts:
            waiting.append(pool.submit(work, part))
            while len(waiting) > ahead:
                result = waiting.popleft().result()
                if size := nbytes(result):
                    ahead = min(most, max(least, _AHEAD_BYTES // size))
                yield result
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@cache
def pool_of_cores(threads: int) -> ThreadPoolExecutor:
    """So many threads, of one core each; kept, since a thread has memory of its own, which is slow when it is new."""
    return ThreadPoolExecutor(threads, "smalti", initializer=lambda: torch.set_num_threads(1))
