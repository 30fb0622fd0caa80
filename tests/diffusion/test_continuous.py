from pathlib import Path

import pytest
import torch

from smalti.codec import Codec
from smalti.diffusion import TRAINING_TIMESTEPS, Continuous, GaussianLevel
from smalti.diffusion.level import over


@pytest.fixture(params=["v", "epsilon"])
def process(request: pytest.FixtureRequest, codec: Codec) -> Continuous:
    return Continuous.of(codec, k=2, prediction=request.param)


@pytest.fixture
def z(codec: Codec, photo: torch.Tensor) -> torch.Tensor:
    return codec.encode(photo[None, :, :32, :32]).expand(3, -1, -1, -1)


def _level(process: Continuous, *times: int) -> GaussianLevel:
    """The level at times of training, an image each."""
    return process.level((torch.tensor(times) + 0.5) / TRAINING_TIMESTEPS)


def _true_output(process: Continuous, z: torch.Tensor, level: GaussianLevel, noise: torch.Tensor) -> torch.Tensor:
    alpha, sigma = over(level.alpha), over(level.sigma)
    return alpha * noise - sigma * process.coordinates.embed(z) if process.prediction == "v" else noise


def test_a_state_is_signal_and_noise_of_the_schedule(process: Continuous, z: torch.Tensor) -> None:
    t = torch.tensor([0, 500, 999])
    noise = torch.randn(3, process.state_channels, 8, 8)
    state = process.corrupt(z, _level(process, *t.tolist()), noise)
    # DDPM (ref 1): beta from 1e-4 to 0.02 in 1000 steps, alpha_bar their running product of 1 - beta.
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)[t][:, None, None, None]
    expected = kept.sqrt() * process.coordinates.embed(z) + (1 - kept).sqrt() * noise
    torch.testing.assert_close(state, expected, atol=1e-5, rtol=1e-4)


def test_the_true_output_has_no_loss_and_gives_the_clean_state(process: Continuous, z: torch.Tensor) -> None:
    level = _level(process, 5, 300, 800)
    noise = torch.randn(3, process.state_channels, 8, 8)
    state = process.corrupt(z, level, noise)
    out = _true_output(process, z, level, noise)
    assert all(term.abs().max() < 1e-8 for term in process.losses(out, z, state, level, noise).values())
    clean = process.estimate(out, state, level)
    torch.testing.assert_close(clean, process.coordinates.embed(z), atol=2e-3, rtol=0)
    assert torch.equal(process.codes(clean), z)


def test_the_loss_is_the_error_of_the_clean_state_under_min_snr(process: Continuous, z: torch.Tensor) -> None:
    level = _level(process, 20, 400, 900)
    noise = torch.randn(3, process.state_channels, 8, 8)
    state = process.corrupt(z, level, noise)
    out = _true_output(process, z, level, noise) + 0.1 * torch.randn(3, process.state_channels, 8, 8)
    alpha, sigma = over(level.alpha), over(level.sigma)
    clean = alpha * state - sigma * out if process.prediction == "v" else (state - sigma * out) / alpha
    error = (clean - process.coordinates.embed(z)).square().mean((1, 2, 3))
    weight = (level.alpha / level.sigma).square().clamp(max=5)
    torch.testing.assert_close(
        process.losses(out, z, state, level, noise)[process.prediction], weight * error, rtol=1e-3, atol=1e-6
    )


def test_an_estimate_stays_within_the_codewords(process: Continuous, z: torch.Tensor) -> None:
    state = torch.randn(3, process.state_channels, 8, 8)
    clean = process.estimate(1e3 * state, state, _level(process, 700, 700, 700))
    low, high = process.coordinates.bounds()
    assert (clean >= low).all()
    assert (clean <= high).all()


def test_a_saved_process_comes_back_with_its_coordinates(process: Continuous, tmp_path: Path, codec: Codec) -> None:
    process.save_pretrained(tmp_path / "process")
    loaded = Continuous.from_pretrained(tmp_path / "process")
    assert torch.equal(loaded.coordinates.table, process.coordinates.table)
    assert torch.equal(loaded.alpha, process.alpha)
    assert loaded.config["codec_fingerprint"] == codec.fingerprint
    assert loaded.prediction == process.prediction
