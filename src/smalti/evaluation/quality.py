"""What a codec keeps of photos: what is generated is hardly finer, before it is refined."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smalti.codec import Codec
from smalti.metrics import psnr, ssim
from smalti.pixels import GREY_LEVELS, PixelFormat
from smalti.report import Cell

_SHOWN = 6
_MOST_SHOWN = 768  # pixels a side, of large photos those in the middle
_VERDICTS = (
    (35.0, "differences are hardly seen"),
    (30.0, "the finest detail is lost"),
    (25.0, "softer than the photos"),
    (float("-inf"), "much coarser than the photos"),
)
"""What is seen from how many dB on."""


@dataclass(frozen=True, slots=True)
class CodecQuality:
    """What decode(encode(photo)) keeps of some photos: mean PSNR in dB and mean SSIM."""

    psnr: float
    ssim: float
    images: int
    rows: list[list[Cell]]
    """The first photos, and what the codec makes of them; of large ones the middle."""

    @property
    def figures(self) -> dict[str, int | float]:
        """The numbers alone."""
        return {"psnr": self.psnr, "ssim": self.ssim, "images": self.images}

    @property
    def verdict(self) -> str:
        """What a PSNR like that looks like, for those who do not read decibels."""
        return next(told for least, told in _VERDICTS if self.psnr >= least)

    def __str__(self) -> str:
        """Both figures in words."""
        return f"{self.psnr:.2f} dB, SSIM {self.ssim:.3f}"


def codec_quality(photos: Iterable[Tensor], codec: Codec, *, rounds: int = 0) -> CodecQuality:
    """Measure a codec on photos; `rounds` are those of `Codec.encode`.

    SSIM is that of grey levels, the mean over the photos that its window fits into, not a number where there are none.
    """
    form, errors, similarities = codec.pixel_format, [], []
    shown: list[list[Cell]] = [[], []]
    for x in photos:
        z = codec.encode(x[None].to(codec.codebooks.device), rounds=rounds)
        y = codec.decode(z, (x.shape[1], x.shape[2]))[0].cpu()
        errors.append(psnr(x, y, peak=form.highest - form.lowest))
        similarities.append(ssim(_bytes(form, x), _bytes(form, y)))
        if len(errors) <= _SHOWN:
            both = form.shown(torch.stack([_middle(x), _middle(y)]))
            shown[0].append(Cell(both[0], "photo"))
            shown[1].append(Cell(both[1], f"{errors[-1]:.1f} dB"))
    fitting = [each for each in similarities if not np.isnan(each)]
    return CodecQuality(
        psnr=float(np.mean(errors)),
        ssim=float(np.mean(fitting)) if fitting else float("nan"),
        images=len(errors),
        rows=shown,
    )


def _bytes(form: PixelFormat, pixels: Tensor) -> Tensor:
    """Grey levels of a picture, rounded."""
    return pixels if pixels.dtype == torch.uint8 else form.levels(pixels).round().clamp(0, GREY_LEVELS).to(torch.uint8)


def _middle(pixels: Tensor) -> Tensor:
    """A copy of the middle of a picture, which does not hold the whole of it."""
    top, left = (max(0, side - _MOST_SHOWN) // 2 for side in pixels.shape[1:])
    return pixels[:, top : top + _MOST_SHOWN, left : left + _MOST_SHOWN].clone()
