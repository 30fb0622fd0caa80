"""Random numbers keyed by (seed, purpose, image number).

An image draws the same numbers whatever batch, process or resumed run it falls into, so that no state of a generator
needs saving and the number of processes may change between runs. The generator is Philox (Salmon et al. 2011), a
counter-based one: the key comes from seed and purpose, the image number is part of the counter.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

__all__ = [
    "Epochs",
    "Turns",
    "keyed_generator",
    "keyed_normal",
    "keyed_order",
    "keyed_positions",
    "keyed_seed",
    "keyed_uniform",
]


_GOLDEN_RATIO = (5**0.5 - 1) / 2
_ROUND = 1024  # batches in which each of several sets has its share


def keyed_generator(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """The generator of image `number` for `purpose`, at the start of its own stream of 2**192 numbers."""
    return np.random.Generator(np.random.Philox(key=_key(seed, purpose), counter=[0, 0, 0, number]))


def keyed_seed(seed: int, purpose: str, number: int = 0) -> int:
    """A seed below 2**63 for generators of other libraries."""
    return int(keyed_generator(seed, purpose, number).integers(2**63))


def keyed_normal(seed: int, purpose: str, numbers: Iterable[int], shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float32 numbers, `shape` of them for each image: (B, *shape)."""
    return np.stack([keyed_generator(seed, purpose, n).standard_normal(shape, dtype=np.float32) for n in numbers])


def keyed_uniform(seed: int, purpose: str, numbers: Iterable[int], shape: tuple[int, ...] = ()) -> np.ndarray:
    """Uniform float32 numbers in [0, 1), `shape` of them for each image: (B, *shape)."""
    return np.stack([keyed_generator(seed, purpose, n).random(shape, dtype=np.float32) for n in numbers])


def keyed_positions(seed: int, numbers: Iterable[int]) -> Float64[np.ndarray, " B"]:
    """Positions in [0, 1) along a golden-ratio sequence: any run of images in a row covers them evenly."""
    return (keyed_uniform(seed, "time", [0])[0] + np.array(list(numbers)) * _GOLDEN_RATIO) % 1


def keyed_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order in which `epoch` goes through `length` images: a permutation, int64 (length,)."""
    return keyed_generator(seed, "order", epoch).permutation(length)


_recent_order = lru_cache(maxsize=4)(keyed_order)  # images in a row are of two epochs at most


class Epochs:
    """Which of `length` rows each image of a training shows: every row once an epoch, each epoch in another order."""

    def __init__(self, seed: int, length: int):
        self._seed = seed
        self._length = length

    def __call__(self, numbers: Iterable[int]) -> Int64[np.ndarray, " B"]:
        """The rows of images by their running numbers."""
        return np.array(
            [
                _recent_order(self._seed, number // self._length, self._length)[number % self._length]
                for number in numbers
            ]
        )


class Turns:
    """Which of several sets each batch of a training is of, and which rows of that each image shows.

    In every round of about 1,024 batches each set has as many as its length asks for, and one at least, in an order of
    that round; within a set its batches go by `Epochs`.
    """

    def __init__(self, seed: int, lengths: Sequence[int], batch_size: int):
        self._seed, self._batch_size = seed, batch_size
        self._epochs = [Epochs(seed, length) for length in lengths]
        shares = np.array(lengths) * _ROUND / sum(lengths)
        self._sets = np.repeat(np.arange(len(lengths)), np.maximum(1, shares.round().astype(int)))

    def __call__(self, numbers: Sequence[int]) -> tuple[int, Int64[np.ndarray, " B"]]:
        """The set and the rows of images of one batch, or of a part of it, by their running numbers.

        Raises:
            ValueError: there are several sets, and these are of several batches.
        """
        if len(self._epochs) == 1:
            return 0, self._epochs[0](numbers)
        (batch,) = {number // self._batch_size for number in numbers}
        rounds, turn = divmod(batch, len(self._sets))
        order = self._sets[keyed_generator(self._seed, "turns", rounds).permutation(len(self._sets))]
        chosen = int(order[turn])
        before = rounds * int((self._sets == chosen).sum()) + int((order[:turn] == chosen).sum())
        skipped = (batch - before) * self._batch_size
        return chosen, self._epochs[chosen]([number - skipped for number in numbers])


def _key(seed: int, purpose: str) -> np.ndarray:
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return np.frombuffer(digest[:16], dtype=np.uint64)
