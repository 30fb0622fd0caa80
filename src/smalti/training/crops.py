"""Photos held in memory, and batches of crops of them."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Integer
from torch import Tensor
from tqdm import tqdm

from smalti.codec import Codec
from smalti.errors import SmaltiError
from smalti.random import Epochs, keyed_uniform
from smalti.training.learner import Batch

_MOST_BYTES = 2**30  # of photos held while training
_MOST_SIDE = 768  # pixels: of more photos something is worth more than of few photos all


def most_photos(side: int, planes: int) -> int:
    """How many photos of a size are held while training: of more, draw as many at random."""
    return max(1, _MOST_BYTES // (planes * side**2))


class CropBatches:
    """Crops of photos at any place, mirrored, turned, by their running numbers."""

    def __init__(self, photos: list[Integer[Tensor, "C H W"]], side: int, seed: int, *, turned: bool = True):
        self.turned = turned
        self.photos = photos
        self.side = side
        self.seed = seed
        self._rows = Epochs(seed, len(photos))

    def __call__(self, numbers: Sequence[int]) -> Batch:
        """Tensor pixels (B, C, crop, crop)."""
        drawn = keyed_uniform(self.seed, "crop", numbers, (4,)).tolist()
        crops = [self._crop(row, *chance) for row, chance in zip(self._rows(numbers).tolist(), drawn, strict=True)]
        return {"pixels": torch.stack(crops)}

    def _crop(self, row: int, down: float, across: float, mirror: float, turn: float) -> Integer[Tensor, "C s s"]:
        photo = self.photos[row]
        top = int(down * (photo.shape[1] - self.side + 1))
        left = int(across * (photo.shape[2] - self.side + 1))
        crop = photo[:, top : top + self.side, left : left + self.side]
        crop = crop.flip(2) if mirror < 0.5 else crop
        return crop.transpose(1, 2) if self.turned and turn < 0.5 else crop


def hold_photos(images: Iterable[Tensor], codec: Codec, crop: int, progress: bool) -> list[Integer[Tensor, "C H W"]]:
    """Photos that a crop fits into; of large ones a square from the middle, so that memory holds many.

    Raises:
        SmaltiError: an image is not of the codec's pixel format, or all are smaller than a crop.
    """
    held, size = [], 0
    for image in tqdm(images, desc="reading photos", unit="image", disable=not progress):
        codec.pixel_format.check(image, "an image")
        if min(image.shape[1:]) < crop:
            continue
        most = max(_MOST_SIDE, crop)
        top, left = (max(0, side - most) // 2 for side in image.shape[1:])
        held.append(image[:, top : top + most, left : left + most].clone())
        size += held[-1].nbytes
        if size > _MOST_BYTES:
            break
    if not held:
        raise SmaltiError(f"no image is as large as a crop of {crop} pixels; give larger ones, or set a smaller crop.")
    return held
