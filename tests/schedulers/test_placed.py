import pytest
import torch
from diffusers import DDPMScheduler

from smalti.schedulers.steps import PlacedSteps


@pytest.mark.parametrize("spacing", [1.0, 1.75, 10.0])
@pytest.mark.parametrize("count", [1, 7, 50, 333, 1000])
def test_steps_fall_from_the_noisiest_time_and_none_is_taken_twice(count: int, spacing: float) -> None:
    times = PlacedSteps(DDPMScheduler(1000), count, torch.device("cpu"), spacing).times
    assert len(times) == count
    assert times[0] == 999
    assert times[-1] >= 0
    assert (times[1:] < times[:-1]).all()


def test_a_spacing_of_one_is_trailing_and_a_larger_one_crowds_to_little_noise() -> None:
    trailing = DDPMScheduler(1000, timestep_spacing="trailing")
    trailing.set_timesteps(20)
    even = PlacedSteps(DDPMScheduler(1000), 20, torch.device("cpu"), 1.0).times
    assert torch.equal(even, trailing.timesteps)
    assert (PlacedSteps(DDPMScheduler(1000), 20, torch.device("cpu"), 2.0).times[1:] < even[1:]).all()
