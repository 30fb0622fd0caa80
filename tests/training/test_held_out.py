import json
from pathlib import Path

import pytest

from smalti.training import HeldOutLoss


def _of(*loss: float) -> HeldOutLoss:
    return HeldOutLoss([100 * (number + 1) for number in range(len(loss))], list(loss))


def test_the_loss_is_read_from_the_lines_that_have_it(tmp_path: Path) -> None:
    lines = [{"images": 64, "loss": 3.0}, {"images": 128, "loss": 2.0, "held_out_loss": 2.5}, {"images": 192}]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert HeldOutLoss.read(tmp_path / "metrics.jsonl") == HeldOutLoss([128], [2.5])
    assert HeldOutLoss.read(tmp_path / "nothing").lowest is None


@pytest.mark.parametrize(
    ("loss", "rises"),
    [
        ((), False),
        ((3.0, 2.0, 2.5, 2.6), False),  # twice is not yet enough
        ((3.0, 2.0, 2.5, 2.6, 2.7), True),
        ((2.0, 2.5, 2.6, 2.7), True),
        ((3.0, 2.0, 2.01, 2.015, 2.019), False),  # by less than a hundredth
        ((3.0, 2.0, 2.5, 2.6, 2.01), False),  # it comes back
        ((3.0, 2.9, 2.8, 2.7, 2.6), False),
    ],
)
def test_a_loss_rises_that_stays_above_its_lowest(loss: tuple[float, ...], rises: bool) -> None:
    assert _of(*loss).rises == rises


def test_what_the_loss_tells_is_said() -> None:
    assert _of().told == ""
    assert "lowest at the end (2)" in _of(3.0, 2.0).told
    assert "lowest after 200 images (2) and is about that since" in _of(3.0, 2.0, 2.01).told
    assert "lowest after 200 images (2) and then rose by 25.0%" in _of(3.0, 2.0, 2.5).told
