import pytest

from smalti.training.pace import choose_processes


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")


@pytest.mark.parametrize(
    ("speeds", "batch", "expected"),
    [
        ({1: 10.0, 2: 15.0, 4: 20.0, 8: 30.0}, 64, 8),
        ({1: 10.0, 2: 15.0, 4: 13.0, 8: 99.0}, 64, 2),  # no more is tried once it is slower
        ({1: 10.0, 2: 8.5}, 64, 1),
        ({1: 10.0, 2: 9.5, 4: 5.0}, 64, 2),  # about as fast, and better at sharing
        ({1: 10.0, 2: 9.5, 4: 8.9}, 64, 2),  # which is of the fastest, not of the one before
        ({1: 10.0, 2: 15.0, 4: 20.0}, 12, 4),  # a batch divides
        ({1: 10.0}, 15, 1),
    ],
)
def test_processes_are_doubled_as_long_as_it_is_faster(speeds: dict[int, float], batch: int, expected: int) -> None:
    got = choose_processes(speeds.__getitem__, batch, lambda pace: 1e4 / pace, "cpu")
    assert got == (expected, speeds[expected])


def test_a_short_run_has_one_process() -> None:
    assert choose_processes({1: 10.0}.__getitem__, 64, lambda pace: 500 / pace, "cpu") == (1, 10.0)


def test_processes_of_a_launcher_do_not_start_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert choose_processes({1: 10.0}.__getitem__, 64, lambda pace: 1e4 / pace, "cpu") == (1, 10.0)
