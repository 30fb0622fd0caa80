"""How far a decoded image is from its original."""

from typing import Any

import numpy as np
from jaxtyping import Integer, UInt8
from torch import Tensor

from smalti.pixels import GREY_LEVELS

_AT_A_TIME = 2**20  # values
_WINDOW = 7  # pixels: the side of scikit-image's
_MARGIN = _WINDOW // 2  # of an image, where its window does not fit, and nothing counts
MS_SSIM_SMALLEST = 161
"""The shortest side, in pixels, of an image that five scales of an 11x11 window fit into."""


def psnr(a: Integer[Tensor, "*shape"], b: Integer[Tensor, "*shape"], peak: int = GREY_LEVELS) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(peak**2 / mean (a - b)**2); infinite for equal images."""
    parts = zip(a.flatten().split(_AT_A_TIME), b.flatten().split(_AT_A_TIME), strict=True)  # flat in memory
    error = sum((one.double() - other.double()).square().sum().item() for one, other in parts) / a.numel()
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(a: UInt8[Tensor, "C H W"], b: UInt8[Tensor, "C H W"]) -> float:
    """Structural similarity (Wang et al. 2004) by scikit-image's defaults, mean over the channels; at most 1.

    Not a number where a side is shorter than the window of 7 pixels. Large images are gone through in strips, so that
    memory stays flat.
    """
    height, width = a.shape[1:]
    if min(height, width) < _WINDOW:
        return float("nan")
    # Takes half a second to import, which the verbs that do not ask for it need not wait for.
    from skimage.metrics import structural_similarity

    similarity: Any = structural_similarity
    rows = max(1, _AT_A_TIME // width)
    total = 0.0
    for first in range(_MARGIN, height - _MARGIN, rows):
        last = min(first + rows, height - _MARGIN)
        strip = slice(first - _MARGIN, last + _MARGIN)
        _, each = similarity(a[:, strip].cpu().numpy(), b[:, strip].cpu().numpy(), channel_axis=0, full=True)
        total += each[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].sum()
    return float(total / (len(a) * (height - 2 * _MARGIN) * (width - 2 * _MARGIN)))


def ms_ssim(a: UInt8[Tensor, "C H W"], b: UInt8[Tensor, "C H W"]) -> float:
    """Multi-scale structural similarity (Wang et al. 2003), five scales, mean over the channels; at most 1.

    Not a number where a side is shorter than `MS_SSIM_SMALLEST`.
    """
    if min(a.shape[1:]) < MS_SSIM_SMALLEST:
        return float("nan")
    # Takes as long.
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    similarity: Any = multiscale_structural_similarity_index_measure(
        a[None].double().cpu(), b[None].double().cpu(), data_range=float(GREY_LEVELS), normalize="relu"
    )
    return float(similarity)
