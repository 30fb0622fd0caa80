"""What is encoded at a time: some of the images of a source, which any process makes the same latents of."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer, UInt
from torch import Tensor

from smalti.codec import Codec
from smalti.data import Images, Picture, Unreadable, kind_of
from smalti.errors import SmaltiError
from smalti.iterables import batched
from smalti.sizes import told_size
from smalti.threads import limited_threads

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
    """That decode; left out, as many as there are cores. One always encodes, since sums of several may differ."""

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
        outcomes = self.images.part(part.start, part.stop).outcomes(part.view, self.threads)
        with limited_threads(1):
            for batch in batched(outcomes, _BATCH):
                skipped += [[each.name, each.reason] for each in batch if isinstance(each, Unreadable)]
                pictures = [each for each in batch if isinstance(each, Picture)]
                if pictures:
                    first = first or pictures[0]
                    codes = self._encode(_stacked(pictures, first))
                    for channel, used in enumerate(codes.transpose(0, 1).flatten(1)):
                        counts[channel] += np.bincount(used.numpy(), minlength=counts.shape[1])
                    found.append(codes.numpy().astype(dtype))
                    numbers += [picture.number for picture in pictures]
                    labels += [picture.labels for picture in pictures]
                told(len(batch))
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

    def _encode(self, pixels: Integer[Tensor, "B C H W"]) -> Int64[Tensor, "N c h w"]:
        versions = [pixels, pixels.flip(3)] if self.flips else [pixels]
        return torch.stack([self.codec.encode(version) for version in versions], dim=1).flatten(0, 1)


def _stacked(pictures: list[Picture], first: Picture) -> Integer[Tensor, "B C H W"]:
    for picture in pictures:
        require_same_size(picture.name, _size(picture), _size(first))
    return torch.stack([picture.pixels for picture in pictures])


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
