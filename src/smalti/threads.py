"""The cores of a CPU, shared by threads that have one each: they do not wait for each other at every operation."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import repeat
from typing import TypeVar

import torch
from torch import Tensor

CPU = torch.device("cpu")

__all__ = ["in_parts", "limited_threads", "on_cores"]

T = TypeVar("T")
Part = TypeVar("Part")


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
        return list(_pool(threads).map(alone, parts))


def in_parts(work: Callable[..., Tensor], count: int, *batches: Tensor | None) -> Tensor:
    """What `work` makes of batches, of `count` of their rows at a time; on a CPU each core has some of the parts."""
    parts = list(zip(*[repeat(None) if batch is None else batch.split(count) for batch in batches], strict=False))
    device = next(batch.device for batch in batches if batch is not None)
    return torch.cat(on_cores(lambda part: work(*part), parts, device))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Kept, since a thread has memory of its own, which is slow when it is new."""
    return ThreadPoolExecutor(threads, "smalti", initializer=lambda: torch.set_num_threads(1))
