"""Measures of pictures."""

from smalti.metrics.distortion import psnr, ssim

__all__ = ["psnr", "ssim"]
