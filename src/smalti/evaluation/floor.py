"""The codec's own floor: no generated picture is finer than a decoded photo."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from smalti.codec import Codec
from smalti.metrics import psnr, ssim
from smalti.report import Cell

_SHOWN = 6
_SMALLEST_SSIM = 7  # side of its window


@dataclass(frozen=True, slots=True)
class Floor:
    """What decode(encode(photo)) keeps of some photos: mean PSNR in dB and mean SSIM."""

    psnr: float
    ssim: float
    images: int
    rows: list[list[Cell]]
    """The first photos, and what the codec makes of them."""

    @property
    def figures(self) -> dict[str, float]:
        """The numbers alone."""
        return {"psnr": self.psnr, "ssim": self.ssim, "images": self.images}

    def __str__(self) -> str:
        """Both figures in words."""
        return f"{self.psnr:.2f} dB, SSIM {self.ssim:.3f}"


def codec_floor(photos: Iterable[Tensor], codec: Codec, *, rounds: int = 0) -> Floor:
    """Measure a codec on photos; `rounds` are those of `Codec.encode`."""
    pairs = [(x, codec.decode(codec.encode(x[None], rounds=rounds), (x.shape[1], x.shape[2]))[0]) for x in photos]
    large = min(pairs[0][0].shape[1:]) >= _SMALLEST_SSIM
    return Floor(
        psnr=float(np.mean([psnr(x, y) for x, y in pairs])),
        ssim=float(np.mean([ssim(x, y) for x, y in pairs])) if large else float("nan"),
        images=len(pairs),
        rows=[
            [Cell(x, "photo") for x, _ in pairs[:_SHOWN]],
            [Cell(y, f"{psnr(x, y):.1f} dB") for x, y in pairs[:_SHOWN]],
        ],
    )
