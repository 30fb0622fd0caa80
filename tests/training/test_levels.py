import json
from pathlib import Path

import pytest
import torch

from smalti.codec import Codec
from smalti.diffusion import Categorical, Masked
from smalti.training.levels import LEVELS, LossByLevel, write_levels

EVENLY = (torch.arange(10 * LEVELS) + 0.5) / (10 * LEVELS)


def _metrics(folder: Path, *lines: tuple[int, LossByLevel]) -> Path:
    path = folder / "metrics.jsonl"
    told = [json.dumps({"images": images, "loss": 1.0} | found.line()) for images, found in lines]
    path.write_text("".join(f"{line}\n" for line in told))
    return path


def _constant(loss: float, position: torch.Tensor = EVENLY) -> LossByLevel:
    found = LossByLevel()
    found.add(position, torch.full_like(position, loss))
    return found


def test_each_level_has_the_mean_of_its_own_images() -> None:
    found = LossByLevel()
    for part in torch.randperm(len(EVENLY)).split(7):
        found.add(EVENLY[part], EVENLY[part] ** 2)
    expected = (EVENLY**2).unflatten(0, (LEVELS, -1)).mean(1)
    assert found.loss == pytest.approx(expected.tolist(), rel=1e-5)
    assert found.images == [10] * LEVELS
    assert found.positions == pytest.approx(EVENLY.unflatten(0, (LEVELS, -1)).mean(1).tolist())


def test_a_level_without_images_has_no_loss_and_without_any_there_is_nothing_to_tell() -> None:
    found = _constant(2.0, torch.tensor([0.0, 0.999999, 1.0], dtype=torch.float64))
    assert found.loss == [2.0, *[None] * (LEVELS - 2), 2.0]
    assert found.images == [1, *[0] * (LEVELS - 2), 2]
    assert LossByLevel().line() == {}


def test_what_is_recent_is_the_last_tenth_and_at_least_some_thousands(tmp_path: Path) -> None:
    early, late = _constant(4.0), _constant(2.0)
    long = _metrics(tmp_path, (80_000, early), (90_000, early), (95_000, late), (100_000, late))
    assert LossByLevel.recent(long).loss == [2.0] * LEVELS
    assert LossByLevel.recent(long).images == [20] * LEVELS
    short = _metrics(tmp_path, (1_000, early), (2_000, late))
    assert LossByLevel.recent(short).loss == [3.0] * LEVELS


def test_lines_count_by_their_images(tmp_path: Path) -> None:
    one, three = _constant(1.0, torch.tensor([0.01])), _constant(5.0, torch.tensor([0.01, 0.02, 0.03, 0.99]))
    found = LossByLevel.recent(_metrics(tmp_path, (1, one), (5, three)))
    assert found.loss == [4.0, *[None] * (LEVELS - 2), 5.0]


def test_what_is_written_says_at_which_times_the_losses_are(codec: Codec, tmp_path: Path) -> None:
    for process in (Categorical.of(codec, k=2), Masked.of(codec, k=2)):
        write_levels(_metrics(tmp_path, (200, _constant(2.0))), process, tmp_path / "levels.json")
        written = json.loads((tmp_path / "levels.json").read_text())
        assert written["images"] == 10 * LEVELS
        assert written["loss"] == [2.0] * LEVELS
        # Times are whole, and positions in the middle of 1000 / 20 of them.
        assert written["time"] == pytest.approx([1000 * position for position in written["position"]], abs=1)


def test_nothing_is_written_of_metrics_from_before_it_was_kept(codec: Codec, tmp_path: Path) -> None:
    write_levels(_metrics(tmp_path, (200, LossByLevel())), Categorical.of(codec, k=2), tmp_path / "levels.json")
    assert not (tmp_path / "levels.json").exists()
