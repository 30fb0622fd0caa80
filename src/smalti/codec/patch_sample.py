"""A uniform sample of patches from any number of images, in bounded memory."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor

from smalti.codec.patches import pad_to_patches, to_patches
from smalti.errors import SmaltiError
from smalti.pixels import PixelFormat
from smalti.progress import Progress
from smalti.random import keyed_uniform


def sample_patches(
    images: Iterable[Tensor], pixel_format: PixelFormat, patch: int, count: int, seed: int, progress: bool = True
) -> tuple[Integer[Tensor, "C N n"], int]:
    """At most `count` patches, each patch of each image with the same chance, and of how many they were drawn.

    Every patch draws a key in [0, 1) and the `count` smallest keys win, so one pass over `images` is enough and no
    more than twice `count` patches are held at a time.

    Raises:
        SmaltiError: no images, or an image (C, H, W) that is not of the format.
    """
    kept: list[Tensor] = []  # of each image those below the threshold, joined only when there are too many
    keys: list[np.ndarray] = []
    threshold, total, held = np.float32(1), 0, 0
    for number, image in enumerate(Progress(images, desc="reading patches", unit="image", disable=not progress)):
        if image.ndim != 3:
            raise SmaltiError(f"image {number} has the shape {tuple(image.shape)}; a codec is fitted on (C, H, W).")
        pixel_format.check(image, f"image {number}")
        patches = to_patches(pad_to_patches(image[None], patch), patch)
        drawn = keyed_uniform(seed, "patches", [number], (patches.shape[1],))[0]
        total += len(drawn)
        chosen = np.flatnonzero(drawn < threshold)
        kept.append(patches[:, torch.from_numpy(chosen)])
        keys.append(drawn[chosen])
        held += len(chosen)
        if held > 2 * count:
            kept, keys = _smallest(kept, keys, count)
            threshold, held = keys[0].max(), len(keys[0])
    if not kept:
        raise SmaltiError("there are no images to fit a codec on; name a folder that holds some.")
    return _smallest(kept, keys, count)[0][0], total


def _smallest(patches: list[Tensor], keys: list[np.ndarray], count: int) -> tuple[list[Tensor], list[np.ndarray]]:
    joined = np.concatenate(keys)
    order = np.argsort(joined, kind="stable")[:count]
    return [torch.cat(patches, dim=1)[:, torch.from_numpy(order)]], [joined[order]]
