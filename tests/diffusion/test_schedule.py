import pytest
import torch
from diffusers import DDPMScheduler

from smalti.diffusion import SCHEDULES, TRAINING_TIMESTEPS, GaussianLevel, NoiseSchedule
from smalti.diffusion.schedule import for_schedulers
from smalti.errors import SmaltiError


@pytest.fixture(params=SCHEDULES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_noise_grows_and_the_variance_is_kept(name: str) -> None:
    schedule = NoiseSchedule.named(name)
    assert schedule.alpha.shape == (TRAINING_TIMESTEPS,)
    torch.testing.assert_close(schedule.alpha.square() + schedule.sigma.square(), torch.ones(TRAINING_TIMESTEPS))
    assert (GaussianLevel(schedule.alpha, schedule.sigma).log_snr.diff() < 0).all()


def test_a_schedule_is_that_of_the_schedulers(name: str) -> None:
    schedule = NoiseSchedule.named(name)
    cumulative = DDPMScheduler(TRAINING_TIMESTEPS, **for_schedulers(name)).alphas_cumprod
    torch.testing.assert_close(schedule.alpha.square(), cumulative, rtol=1e-6, atol=1e-7)


def test_every_time_of_training_is_told_for_its_level(name: str) -> None:
    schedule = NoiseSchedule.named(name)
    times = torch.arange(TRAINING_TIMESTEPS)
    position = (times.double() + 0.5) / TRAINING_TIMESTEPS
    assert torch.equal(schedule.time(schedule.level(position)), times.float())
    # Also where a level comes from a ratio, with the rounding that brings.
    ratio = schedule.sigma / schedule.alpha
    alpha = (1 + ratio.square()).rsqrt()
    assert torch.equal(schedule.time(GaussianLevel(alpha, ratio * alpha)), times.float())


def test_positions_reach_from_the_first_time_to_the_last(name: str) -> None:
    schedule = NoiseSchedule.named(name)
    ends = schedule.level(torch.tensor([0.0, 1 - 1e-9], dtype=torch.float64))
    assert ends.alpha.tolist() == [schedule.alpha[0], schedule.alpha[-1]]


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(SmaltiError, match="squaredcos_cap_v2"):
        NoiseSchedule.named("cubic")
