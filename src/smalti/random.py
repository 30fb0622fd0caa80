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
    "keyed_places",
    "keyed_positions",
    "keyed_seed",
    "keyed_uniform",
]


_GOLDEN_RATIO = (5**0.5 - 1) / 2
_ROUND = 1024  # batches in which each of several sets has its share
_DRAWN = 2**24  # rows whose order is drawn as a whole, 128 MB
_FEISTEL_ROUNDS = 6


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


def keyed_places(seed: int, epoch: int, length: int, places: Int64[np.ndarray, " B"]) -> Int64[np.ndarray, " B"]:
    """What stands at some places of a permutation of `length` numbers, of which nothing else is computed.

    The permutation is a Feistel network (Luby and Rackoff 1988) on the even number of bits that suffices, walked along
    until it comes to a number below `length` (Black and Rogaway 2002), four times at most on average.
    """
    half = np.uint64(-(-max(length - 1, 1).bit_length() // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    keys = keyed_generator(seed, "places", epoch).integers(2**64, size=_FEISTEL_ROUNDS, dtype=np.uint64)
    found = places.astype(np.uint64)
    walking = np.ones(len(found), dtype=bool)
    while walking.any():
        left, right = found[walking] >> half, found[walking] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        found[walking] = (left << half) | right
        walking = found >= length
    return found.astype(np.int64)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Numbers of 64 bits, each bit of which depends on all of the given ones (the finalizer of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


class Epochs:
    """Which of `length` rows each image of a training shows: every row once an epoch, each epoch in another order.

    The order of many rows is not held in memory.
    """

    def __init__(self, seed: int, length: int):
        self._seed = seed
        self._length = length

    def __call__(self, numbers: Iterable[int]) -> Int64[np.ndarray, " B"]:
        """The rows of images by their running numbers."""
        epochs, places = np.divmod(np.array(list(numbers), dtype=np.int64), self._length)
        rows = np.empty_like(places)
        for epoch in np.unique(epochs).tolist():
            rows[epochs == epoch] = self._rows(epoch, places[epochs == epoch])
        return rows

    def _rows(self, epoch: int, places: Int64[np.ndarray, " B"]) -> Int64[np.ndarray, " B"]:
        if self._length > _DRAWN:
            return keyed_places(self._seed, epoch, self._length, places)
        return _recent_order(self._seed, epoch, self._length)[places]


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
