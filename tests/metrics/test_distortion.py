import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from smalti.metrics import distortion, ms_ssim, psnr, ssim


def test_psnr_is_that_of_scikit_image_and_does_not_wrap_around(photo: torch.Tensor) -> None:
    noisy = (photo.int() + torch.randint(-90, 90, photo.shape)).clamp(0, 255).to(torch.uint8)
    assert psnr(photo, noisy) == pytest.approx(peak_signal_noise_ratio(photo.numpy(), noisy.numpy()))
    # uint8 arithmetic could never give less than 24.06 dB.
    assert psnr(photo, 255 - photo) < 10


def test_psnr_of_deep_pixels_is_told_by_their_own_peak() -> None:
    random = np.random.default_rng(0)
    a, b = (torch.from_numpy(random.integers(0, 2**16, (13, 20, 20), dtype=np.int32)) for _ in range(2))
    expected = peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=65535)
    assert psnr(a, b, peak=65535) == pytest.approx(expected)


def test_an_image_is_like_itself(photo: torch.Tensor) -> None:
    assert psnr(photo, photo) == float("inf")
    assert ssim(photo, photo) == pytest.approx(1)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (8, 30), (41, 33)])
def test_ssim_in_strips_is_that_of_scikit_image(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.randint(0, 256, (2, 3, height, width), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    monkeypatch.setattr(distortion, "_AT_A_TIME", 5 * width)
    assert ssim(a, b) == pytest.approx(structural_similarity(a.numpy(), b.numpy(), channel_axis=0), abs=1e-12)
    assert np.isnan(ssim(a[:, :6], b[:, :6]))


def test_ssim_falls_with_noise(photo: torch.Tensor) -> None:
    noise = torch.randint(-20, 20, photo.shape)
    values = [ssim(photo, (photo.int() + scale * noise).clamp(0, 255).to(torch.uint8)) for scale in (0, 1, 3)]
    assert np.all(np.diff(values) < 0)


def test_ms_ssim_falls_with_noise_and_is_1_for_equal_images(photo: torch.Tensor) -> None:
    noise = torch.randint(-20, 20, photo.shape)
    values = [ms_ssim(photo, (photo.int() + scale * noise).clamp(0, 255).to(torch.uint8)) for scale in (0, 1, 3)]
    assert values[0] == pytest.approx(1)
    assert np.all(np.diff(values) < 0)


def test_ms_ssim_is_the_product_over_scales_written_out(photo: torch.Tensor) -> None:
    grey = photo[:1, :176, :192]
    noisy = (grey.int() + torch.randint(-20, 20, grey.shape)).clamp(0, 255).to(torch.uint8)
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def blur(x: np.ndarray) -> np.ndarray:
        rows = np.apply_along_axis(np.convolve, 0, x, window, "valid")
        return np.apply_along_axis(np.convolve, 1, rows, window, "valid")

    def halve(x: np.ndarray) -> np.ndarray:
        even = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
        return even.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3))

    a, b, expected = grey[0].double().numpy(), noisy[0].double().numpy(), 1.0
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, weight in enumerate(weights):
        mu_a, mu_b = blur(a), blur(b)
        var_a, var_b, cov = blur(a * a) - mu_a**2, blur(b * b) - mu_b**2, blur(a * b) - mu_a * mu_b
        contrast = (2 * cov + (0.03 * 255) ** 2) / (var_a + var_b + (0.03 * 255) ** 2)
        luminance = (2 * mu_a * mu_b + (0.01 * 255) ** 2) / (mu_a**2 + mu_b**2 + (0.01 * 255) ** 2)
        expected *= (contrast * (luminance if scale == 4 else 1)).mean() ** weight
        a, b = halve(a), halve(b)
    assert ms_ssim(grey, noisy) == pytest.approx(expected, rel=1e-4)


def test_an_image_too_small_for_five_scales_has_no_ms_ssim(photo: torch.Tensor) -> None:
    assert np.isnan(ms_ssim(photo[:, :100], photo[:, :100]))
