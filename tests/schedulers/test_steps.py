import pytest
import torch

from smalti.codec import Codec
from smalti.diffusion import SCHEDULES, Continuous, DiscreteLevel, GaussianLevel, Masked, Multinomial
from smalti.errors import SmaltiError
from smalti.schedulers import SCHEDULERS, make_scheduler, row_of, schedulers_of, steps_of

CPU = torch.device("cpu")
GAUSSIAN = ["ddpm", "ddim", "dpmsolver++", "unipc", "euler", "heun", "renoise"]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", GAUSSIAN)
def test_states_are_as_noisy_as_the_network_is_told(codec: Codec, name: str, schedule: str) -> None:
    process = Continuous.of(codec, k=2, beta_schedule=schedule)
    steps = steps_of(make_scheduler(name, process), 10, CPU)
    state = torch.randn(2, process.state_channels, 2, 2)
    told = []
    for step in range(len(steps)):
        shown = steps.shown(step, state)
        level = steps.level(step, shown)
        assert isinstance(level, GaussianLevel)
        told += process.time(level).tolist()
        time = int(steps.times[step])
        expected = process.schedule.level(torch.full((2,), (time + 0.5) / 1000))
        torch.testing.assert_close((level.alpha, level.sigma), (expected.alpha, expected.sigma), rtol=1e-4, atol=1e-5)
        state = steps.take(step, state, torch.zeros_like(state), torch.Generator().manual_seed(0))
    assert told == [time for time in steps.times.tolist() for _ in range(2)]
    assert told[0] == 999


@pytest.mark.parametrize("count", [1, 7, 61, 999, 1000])
@pytest.mark.parametrize("name", GAUSSIAN)
def test_any_number_of_steps_stays_within_the_times_of_training(codec: Codec, name: str, count: int) -> None:
    steps = steps_of(make_scheduler(name, Continuous.of(codec, k=2)), count, CPU)
    told = []
    for step in (0, len(steps) - 1):
        told += Continuous.of(codec, k=2).time(steps.level(step, torch.zeros(1, 1, 1, 1))).tolist()  # pyright: ignore
    assert told[0] == 999
    assert 0 <= told[1] < 1000


def test_masks_tell_how_much_is_replaced(codec: Codec) -> None:
    process = Masked.of(codec, k=2)
    steps = steps_of(make_scheduler("unmask", process), 4, CPU)
    state = process.begin(torch.zeros(2, process.state_channels, 2, 2), steps.scale)
    state[1, :, 0] = 0
    level = steps.level(0, state)
    assert isinstance(level, DiscreteLevel)
    assert level.share.tolist() == [1.0, 0.5]


def test_the_time_tells_how_much_is_replaced(codec: Codec) -> None:
    process = Multinomial.of(codec, k=2)
    steps = steps_of(make_scheduler("multinomial", process), 4, CPU)
    state = process.begin(torch.zeros(2, process.state_channels, 2, 2), steps.scale)
    shares = [steps.level(step, state).share.tolist() for step in range(4)]  # pyright: ignore
    assert shares == [[1.0] * 2, [0.75] * 2, [0.5] * 2, [0.25] * 2]


def test_a_process_has_the_schedulers_of_its_kind_and_its_default_is_one(codec: Codec) -> None:
    for kind, names in (
        (Continuous, GAUSSIAN),
        (Masked, ["unmask", "unmask-halton", "unmask-random"]),
        (Multinomial, ["multinomial"]),
    ):
        process = kind.of(codec, k=2)
        assert schedulers_of(process) == names
        assert process.default_scheduler in names


def test_a_scheduler_is_known_again_by_its_class(codec: Codec) -> None:
    for process in (Continuous.of(codec, k=2), Masked.of(codec, k=2), Multinomial.of(codec, k=2)):
        for name in schedulers_of(process):
            row = row_of(make_scheduler(name, process))
            assert (row.steps, row.draws) == (SCHEDULERS[name].steps, SCHEDULERS[name].draws)


def test_what_cannot_be_stepped_is_refused(codec: Codec) -> None:
    scheduler = make_scheduler("ddim", Continuous.of(codec, k=2))
    for count in (0, 1001):
        with pytest.raises(SmaltiError, match="from 1 to 1000"):
            steps_of(scheduler, count, CPU)
    with pytest.raises(SmaltiError, match="object is no scheduler"):
        row_of(object())
