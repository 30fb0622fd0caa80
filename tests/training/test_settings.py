import pytest

from smalti.errors import SmaltiError
from smalti.training import TrainSettings


def test_the_learning_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = TrainSettings(images=10_000, batch_size=10, learning_rate=1.0, warmup=1_000, decay=0.2)
    rates = [settings.learning_rate_at(image) for image in range(0, 10_000, 10)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[99] == pytest.approx(1.0)
    assert all(rate == 1.0 for rate in rates[100:800])
    assert rates[801] < 1.0
    assert rates[-1] == pytest.approx(10 / 2_000)
    assert rates == sorted(rates[:100]) + rates[100:800] + sorted(rates[800:], reverse=True)


def test_without_warmup_and_decay_it_stays() -> None:
    settings = TrainSettings(images=100, batch_size=10, learning_rate=0.5, warmup=0, decay=0.0)
    assert {settings.learning_rate_at(image) for image in range(0, 100, 10)} == {0.5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": 0},
        {"batch_size": -1},
        {"learning_rate": float("nan")},
        {"decay": 1.5},
        {"label_dropout": -0.1},
        {"at_once": 0},
        {"at_once": 64},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_settings_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(SmaltiError, match=next(iter(wrong)).replace("_", " ")):
        TrainSettings(**wrong)  # pyright: ignore[reportArgumentType]
