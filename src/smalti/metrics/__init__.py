"""Measures of pictures: against their originals, and of one set against another."""

from smalti.metrics.distortion import ms_ssim, psnr, ssim
from smalti.metrics.distribution import (
    Measured,
    Moments,
    density_coverage,
    frechet_distance,
    frechet_distance_of,
    kernel_distance,
    nearest,
    precision_recall,
)
from smalti.metrics.features import FeatureNetwork, resize

__all__ = [
    "FeatureNetwork",
    "Measured",
    "Moments",
    "density_coverage",
    "frechet_distance",
    "frechet_distance_of",
    "kernel_distance",
    "ms_ssim",
    "nearest",
    "precision_recall",
    "psnr",
    "resize",
    "ssim",
]
