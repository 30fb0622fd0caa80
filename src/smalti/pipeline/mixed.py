"""Pictures of several sizes: how often each occurs, and sampling so."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from jaxtyping import Integer
from torch import Tensor

from smalti.errors import SmaltiError
from smalti.iterables import batched
from smalti.pipeline.guidance import Labels, loaded_guide
from smalti.pipeline.settings import SampleSettings
from smalti.pixels import MOST_PIXELS
from smalti.random import keyed_uniform

__all__ = ["Sizes", "common_size", "drawn_sizes", "read_sizes", "stream_of_sizes"]

Sizes = dict[tuple[int, int], int]
"""Height and width, and how many images that a model was trained on are of them; most of them first."""


def read_sizes(sizes: Sequence[Sequence[Any]]) -> Sizes:
    """From rows of height, width and number, as the index of a model holds them.

    Raises:
        SmaltiError: they are none.
    """
    for row in sizes:
        whole = len(row) == 3 and all(type(each) is int and each > 0 for each in row)
        if not whole or row[0] * row[1] > MOST_PIXELS:
            raise SmaltiError(f"the model says that its pictures are of {list(row)}; make it again or copy it whole.")
    return {(height, width): images for height, width, images in sizes}


def common_size(sizes: Sizes, size: tuple[int, int]) -> tuple[int, int]:
    """The largest size that pictures of all sizes hold; `size` where there are not several."""
    return (min(height for height, _ in sizes), min(width for _, width in sizes)) if sizes else size


def drawn_sizes(sizes: Sizes, seed: int, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The size of each picture by its number, each as often as it occurred in training."""
    ends = np.array(list(accumulate(sizes.values()))) / sum(sizes.values())
    drawn = np.searchsorted(ends[:-1], keyed_uniform(seed, "size", numbers), side="right")
    return [list(sizes)[number] for number in drawn]


def stream_of_sizes(
    pipe: Any,
    count: int,
    settings: SampleSettings,
    *,
    labels: Labels | None = None,
    numbers: Sequence[int] | None = None,
    guide: Any | None = None,
) -> Iterator[Integer[Tensor, "1 C H W"]]:
    """What `SmaltiPipeline.stream` gives of a model that was trained on several sizes, one picture at a time, in order.

    The batches that they are made in are of one size, and the same whichever `numbers` are asked for, in whatever
    order; of each size the last is kept. A guide that the settings name is loaded once.
    """
    if guide is None and settings.guide is not None:
        guide = loaded_guide(pipe, settings.guide)
    pipe.latents(count, settings, labels=labels, guide=guide)  # refuses here what it would refuse later
    sizes = drawn_sizes(pipe.sizes, settings.seed, range(count))
    alike = ([number for number in range(count) if sizes[number] == size] for size in pipe.sizes)
    batches = {number: batch for own in alike for batch in batched(own, settings.batch_size) for number in batch}

    def in_order() -> Iterator[Integer[Tensor, "1 C H W"]]:
        made: dict[tuple[int, int], dict[int, Tensor]] = {}
        for number in range(count) if numbers is None else numbers:
            size = sizes[number]
            if number not in made.get(size, {}):
                batch = batches[number]
                (pixels,) = pipe.stream(count, settings, size=size, labels=labels, numbers=batch, guide=guide)
                made[size] = dict(zip(batch, pixels, strict=True))
            yield made[size][number][None]

    return in_order()
