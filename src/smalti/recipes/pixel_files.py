"""Pictures as files: PNG, and for bands an array of numpy with all their values beside it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from torch import Tensor

from smalti.files import written
from smalti.pixels import PixelFormat, to_image


def save_pixels(path: Path, pixels: Integer[Tensor, "C H W"], form: PixelFormat) -> None:
    """Write a picture as the PNG at `path`, in one step; of bands what is to be looked at.

    Their values are written first, as an array (C, H, W) under the same name with the suffix `.npy`.
    """
    if not isinstance(form.mode, str):
        _replace(path.with_suffix(".npy"), lambda aside: np.save(aside, pixels.numpy()))
    _replace(path, lambda aside: to_image(form.shown(pixels)).save(aside))


def _replace(path: Path, save: Callable[[Path], None]) -> None:
    """Let a file appear when it is whole; nothing is left of one that is not."""
    aside = path.with_name(f".unfinished{path.suffix}")
    try:
        with written(path):
            save(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
