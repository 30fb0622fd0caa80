"""Photos held while training, and batches of crops of them."""

import tempfile
import weakref
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import overload

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor

from smalti.codec import Codec
from smalti.errors import SmaltiError
from smalti.progress import Progress
from smalti.random import Epochs, keyed_uniform
from smalti.sizes import told_size
from smalti.training.learner import Batch

_MOST_BYTES = 2**30  # of photos held while training
_MOST_SIDE = 768  # pixels: of more photos something is worth more than of few photos all


def most_photos(size: tuple[int, int], planes: int) -> int:
    """How many photos of a size are held while training: of more, draw as many at random."""
    return max(1, _MOST_BYTES // (planes * prod(size)))


class HeldPhotos(Sequence[Tensor]):
    """Photos one after the other in a file, mapped into memory, which helper processes share."""

    def __init__(self, file: Path, dtype: np.dtype, shapes: list[torch.Size]):
        self._origin = file, dtype, shapes
        self._shapes = shapes
        self._ends = np.cumsum([prod(shape) for shape in shapes])
        # Copied where written to, which nobody does; PyTorch warns of what cannot be written to.
        self._pixels = torch.from_numpy(np.memmap(file, dtype, mode="c"))

    def __len__(self) -> int:
        return len(self._shapes)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        number = range(len(self))[index]
        return self._pixels[self._ends[number] - prod(self._shapes[number]) : self._ends[number]].view(
            self._shapes[number]
        )

    def __reduce__(self) -> tuple[type["HeldPhotos"], tuple[Path, np.dtype, list[torch.Size]]]:
        """Another process opens the file itself."""
        return HeldPhotos, self._origin


class CropBatches:
    """Crops of photos at any place, of a size (height, width), mirrored, turned, by their running numbers."""

    def __init__(
        self, photos: Sequence[Integer[Tensor, "C H W"]], size: tuple[int, int], seed: int, *, turned: bool = True
    ):
        self.turned = turned
        self.photos = photos
        self.size = size
        self.seed = seed
        self._rows = Epochs(seed, len(photos))

    def __call__(self, numbers: Sequence[int]) -> Batch:
        """Tensor pixels (B, C, H, W)."""
        drawn = keyed_uniform(self.seed, "crop", numbers, (4,)).tolist()
        crops = [self._crop(row, *chance) for row, chance in zip(self._rows(numbers).tolist(), drawn, strict=True)]
        return {"pixels": torch.stack(crops)}

    def _crop(self, row: int, down: float, across: float, mirror: float, turn: float) -> Integer[Tensor, "C H W"]:
        photo, (height, width) = self.photos[row], self.size
        top = int(down * (photo.shape[1] - height + 1))
        left = int(across * (photo.shape[2] - width + 1))
        crop = photo[:, top : top + height, left : left + width]
        crop = crop.flip(2) if mirror < 0.5 else crop
        return crop.transpose(1, 2) if self.turned and turn < 0.5 else crop


def hold_photos(images: Iterable[Tensor], codec: Codec, crop: tuple[int, int], progress: bool) -> HeldPhotos:
    """Photos that a crop fits into, in a file for as long as they are in use; of large ones their middle.

    Raises:
        SmaltiError: an image is not of the codec's pixel format, or all are smaller than a crop.
    """
    dtype, shapes, size = np.dtype(np.uint8), [], 0
    with ExitStack() as failing:
        path = Path(failing.enter_context(tempfile.TemporaryDirectory(prefix="smalti-"))) / "photos"
        with path.open("wb") as file:
            for image in Progress(images, desc="reading photos", unit="image", disable=not progress):
                codec.pixel_format.check(image, "an image")
                if image.shape[1] < crop[0] or image.shape[2] < crop[1]:
                    continue
                high, wide = (max(_MOST_SIDE, side) for side in crop)
                top, left = max(0, image.shape[1] - high) // 2, max(0, image.shape[2] - wide) // 2
                middle = image[:, top : top + high, left : left + wide]
                pixels = middle.contiguous().numpy()
                file.write(pixels.data)
                dtype, size = pixels.dtype, size + pixels.nbytes
                shapes.append(middle.shape)
                if size > _MOST_BYTES:
                    break
        if not shapes:
            raise SmaltiError(
                f"no image is as large as a crop of {told_size(crop)} pixels; give larger ones, or set a smaller crop."
            )
        held = HeldPhotos(path, dtype, shapes)
        weakref.finalize(held, failing.pop_all().close)
        return held
