import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from smalti.metrics import psnr, ssim


def test_psnr_is_that_of_scikit_image_and_does_not_wrap_around(photo: torch.Tensor) -> None:
    noisy = (photo.int() + torch.randint(-90, 90, photo.shape)).clamp(0, 255).to(torch.uint8)
    assert psnr(photo, noisy) == pytest.approx(peak_signal_noise_ratio(photo.numpy(), noisy.numpy()))
    # uint8 arithmetic could never give less than 24.06 dB.
    assert psnr(photo, 255 - photo) < 10


def test_an_image_is_like_itself(photo: torch.Tensor) -> None:
    assert psnr(photo, photo) == float("inf")
    assert ssim(photo, photo) == pytest.approx(1)


def test_ssim_falls_with_noise(photo: torch.Tensor) -> None:
    noise = torch.randint(-20, 20, photo.shape)
    values = [ssim(photo, (photo.int() + scale * noise).clamp(0, 255).to(torch.uint8)) for scale in (0, 1, 3)]
    assert np.all(np.diff(values) < 0)
