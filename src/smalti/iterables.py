"""Going through anything some items at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["batched"]

Item = TypeVar("Item")


def batched(items: Iterable[Item], count: int) -> Iterator[list[Item]]:
    """Lists of `count` items in order, the last of what is left."""
    remaining = iter(items)
    while batch := list(islice(remaining, count)):
        yield batch
