"""Photos held in memory, and batches of crops of them."""

from collections.abc import Iterable
from functools import lru_cache

import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from smalti.codec import CodecSpec
from smalti.files import SmaltiError
from smalti.random import keyed_order, keyed_uniform
from smalti.training.loop import Batch
from smalti.training.settings import TrainSettings

_MOST_BYTES = 2**30  # of photos held while training
_MOST_SIDE = 768  # pixels: of more photos something is worth more than of few photos all


def most_photos(side: int, planes: int) -> int:
    """How many photos of a size are held while training: of more, draw as many at random."""
    return max(1, _MOST_BYTES // (planes * side**2))


class CropBatches:
    """The batch that starts at crop n: crops of photos at any place, mirrored, turned, keyed by their numbers."""

    def __init__(
        self, photos: list[UInt8[Tensor, "C H W"]], side: int, settings: TrainSettings, *, turned: bool = True
    ):
        self.turned = turned
        self.photos = photos
        self.side = side
        self.settings = settings
        self._order = lru_cache(maxsize=2)(lambda epoch: keyed_order(self.settings.seed, epoch, len(photos)))

    def __call__(self, n: int) -> Batch:
        """Tensor pixels (B, C, crop, crop), uint8."""
        numbers = range(n, n + self.settings.batch_size)
        drawn = keyed_uniform(self.settings.seed, "crop", numbers, (4,))
        return {
            "pixels": torch.stack(
                [self._crop(number, *chance) for number, chance in zip(numbers, drawn.tolist(), strict=True)]
            )
        }

    def _crop(self, number: int, down: float, across: float, mirror: float, turn: float) -> UInt8[Tensor, "C s s"]:
        photo = self.photos[self._order(number // len(self.photos))[number % len(self.photos)]]
        top = int(down * (photo.shape[1] - self.side + 1))
        left = int(across * (photo.shape[2] - self.side + 1))
        crop = photo[:, top : top + self.side, left : left + self.side]
        crop = crop.flip(2) if mirror < 0.5 else crop
        return crop.transpose(1, 2) if self.turned and turn < 0.5 else crop


def hold_photos(images: Iterable[Tensor], spec: CodecSpec, crop: int, progress: bool) -> list[UInt8[Tensor, "C H W"]]:
    """Photos that a crop fits into; of large ones a square from the middle, so that memory holds many.

    Raises:
        SmaltiError: an image has other planes than the codec, or all are smaller than a crop.
    """
    held, size = [], 0
    for image in tqdm(images, desc="reading photos", unit="image", disable=not progress):
        if image.shape[0] != spec.planes:
            raise SmaltiError(f"an image has {image.shape[0]} planes and {spec} is for {spec.planes}.")
        if min(image.shape[1:]) < crop:
            continue
        most = max(_MOST_SIDE, crop)
        top, left = (max(0, side - most) // 2 for side in image.shape[1:])
        held.append(image[:, top : top + most, left : left + most].clone())
        size += held[-1].numel()
        if size > _MOST_BYTES:
            break
    if not held:
        raise SmaltiError(f"no image is as large as a crop of {crop} pixels; give larger ones, or set a smaller crop.")
    return held
