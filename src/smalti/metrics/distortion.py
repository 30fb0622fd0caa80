"""How far a decoded image is from its original."""

from typing import Any

import numpy as np
from jaxtyping import UInt8
from skimage.metrics import structural_similarity
from torch import Tensor


def psnr(a: UInt8[Tensor, "*shape"], b: UInt8[Tensor, "*shape"]) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255**2 / mean (a - b)**2); infinite for equal images."""
    error = (a.double() - b.double()).square().mean().item()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(a: UInt8[Tensor, "C H W"], b: UInt8[Tensor, "C H W"]) -> float:
    """Structural similarity (Wang et al. 2004) by scikit-image's defaults, mean over the channels; at most 1."""
    mean: Any = structural_similarity(a.cpu().numpy(), b.cpu().numpy(), channel_axis=0)
    return float(mean)
