"""What is encoded at a time: some of the images of a source, which any process makes the same latents of."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt
from torch import Tensor

from smalti.codec import Codec
from smalti.data import Images, Picture, Unreadable, kind_of
from smalti.errors import SmaltiError
from smalti.iterables import batched
from smalti.processes import cores
from smalti.sizes import told_size
from smalti.threads import in_turn, limited_threads, pool_of_cores

__all__ = ["Encoded", "Part", "Work", "require_same_size"]

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Part:
    """Images from one position in the source to another, in one view: what becomes one shard."""

    number: int
    """Among all shards."""
    view: int
    start: int
    stop: int

    def __len__(self) -> int:
        """Images, readable or not."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """The latents of a part."""

    part: Part
    codes: UInt[np.ndarray, "N c h w"] | None
    """As it is and flipped, one after the other; None where no image can be read."""
    numbers: list[int]
    """Which images they are of, each once."""
    labels: list[tuple[int, ...]]
    """Of each of these images."""
    counts: Int64[np.ndarray, "c K"]
    """How often each codeword occurs."""
    skipped: list[list[str]]
    """Name and reason of what could not be read."""
    size: tuple[int, int] | None
    """Height and width of the images."""
    first: str
    """The name of the first of them."""


@dataclass(frozen=True, slots=True)
class Work:
    """Encodes parts: here, or in other processes, which it is sent to once."""

    images: Images
    codec: Codec
    flips: bool
    threads: int | None = None
    """That decode and encode; left out, as many as there are cores. One encodes a batch, since sums of several may
    differ."""

    def __call__(self, part: Part, told: Callable[[int], object] = lambda images: None) -> Encoded:
        """The latents of a part; `told` hears how many images were done.

        Raises:
            SmaltiError: its images differ in size or do not fit the codec, or one cannot be read and must be.
        """
        dtype = kind_of(self.codec.spec)
        counts = np.zeros(self.codec.codebooks.shape[:2], dtype=np.int64)
        found: list[np.ndarray] = []
        numbers: list[int] = []
        labels: list[tuple[int, ...]] = []
        skipped: list[list[str]] = []
        first: Picture | None = None
        for batch in self._batches(part):
            skipped += [[each.name, each.reason] for each in batch.outcomes if isinstance(each, Unreadable)]
            if batch.codes is not None:
                first = first or batch.pictures[0]
                require_same_size(batch.pictures[0].name, _size(batch.pictures[0]), _size(first))
                for channel, used in enumerate(batch.codes.transpose(0, 1).flatten(1)):
                    counts[channel] += np.bincount(used.numpy(), minlength=counts.shape[1])
                found.append(batch.codes.numpy().astype(dtype))
                numbers += [picture.number for picture in batch.pictures]
                labels += [picture.labels for picture in batch.pictures]
            told(len(batch.outcomes))
        return Encoded(
            part=part,
            codes=np.concatenate(found) if found else None,
            numbers=numbers,
            labels=labels,
            counts=counts,
            skipped=skipped,
            size=None if first is None else _size(first),
            first="" if first is None else first.name,
        )

    def _batches(self, part: Part) -> Iterator["_Batch"]:
        """The images of a part with their codes, in order."""
        outcomes = self.images.part(part.start, part.stop).outcomes(part.view, self.threads)
        batches = batched(outcomes, _BATCH)
        with limited_threads(1):
            if self.threads == 1:
                yield from map(self._encode, batches)
            else:
                threads = self.threads or cores()
                pool, nbytes = pool_of_cores(threads), lambda batch: batch.nbytes
                with closing(in_turn(pool, self._encode, batches, nbytes, least=1, most=threads)) as encoded:
                    yield from encoded

    def _encode(self, outcomes: list[Picture | Unreadable]) -> "_Batch":
        pictures = [each for each in outcomes if isinstance(each, Picture)]
        if not pictures:
            return _Batch(outcomes, pictures, None)
        for picture in pictures:
            require_same_size(picture.name, _size(picture), _size(pictures[0]))
        pixels = torch.stack([picture.pixels for picture in pictures])
        versions = [pixels, pixels.flip(3)] if self.flips else [pixels]
        codes = torch.stack([self.codec.encode(version) for version in versions], dim=1).flatten(0, 1)
        return _Batch(outcomes, pictures, codes)


@dataclass(frozen=True, slots=True)
class _Batch:
    outcomes: list[Picture | Unreadable]
    pictures: list[Picture]
    codes: Int64[Tensor, "N c h w"] | None

    @property
    def nbytes(self) -> int:
        """Of the pixels."""
        return sum(picture.pixels.nbytes for picture in self.pictures)


def _size(picture: Picture) -> tuple[int, int]:
    height, width = picture.pixels.shape[1:]
    return height, width


def require_same_size(name: str, size: tuple[int, int], others: tuple[int, int]) -> None:
    """Refuse an image of another size than others are.

    Raises:
        SmaltiError: so it is.
    """
    if size != others:
        raise SmaltiError(
            f"{name} is {told_size(size)} pixels and images before it {told_size(others)} (height x width); give a "
            "size that all are cropped to."
        )
