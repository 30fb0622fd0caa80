import json
from pathlib import Path

import numpy as np
import pytest
import torch

from smalti.report import Cell, grid, level_curves, sample_sheet, side_by_side, training_curve


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_of_a_grid_stands_in_its_place(channels: int) -> None:
    pixels = torch.randint(0, 200, (5, channels, 6, 4), dtype=torch.uint8)
    sheet = np.asarray(grid(pixels, columns=3, scale=2)).reshape(2 * 14 + 2, 3 * 10 + 2, channels)
    for index, image in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        top, left = 2 + 14 * (index // 3), 2 + 10 * (index % 3)
        np.testing.assert_array_equal(sheet[top : top + 12 : 2, left : left + 8 : 2], image)
        assert (sheet[top - 2 : top, left : left + 8] == 255).all()
    assert (sheet[16:, 22:] == 255).all()  # the sixth place stays paper


def test_each_class_has_its_name_over_its_own_rows() -> None:
    pixels = torch.randint(0, 200, (12, 3, 40, 40), dtype=torch.uint8)
    plain, named = (sample_sheet(pixels, columns=3, names=names) for names in ((), ("cats", "Кошки")))
    line = (named.height - plain.height - 2) // 2  # a heading each; and paper over and under both parts
    assert named.width == plain.width
    half = (named.height - 2 * line) // 2
    for number, rows in enumerate((pixels[:6], pixels[6:])):
        top = number * (line + half)
        heading = np.asarray(named.crop((0, top, named.width, top + line)).convert("L"))
        assert heading.min() < 100 < heading.mean()
        assert (heading[:, heading.shape[1] // 2 :] == 255).all()
        below = named.crop((0, top + line, named.width, top + line + half))
        np.testing.assert_array_equal(np.asarray(below), np.asarray(sample_sheet(rows, columns=3)))


def test_side_by_side_shows_rows_of_any_length(photo: torch.Tensor) -> None:
    picture = side_by_side([[Cell(photo, "a"), Cell(photo, "b")], [Cell(photo, "c")]])
    assert picture.width > 500
    assert np.asarray(picture).std() > 10


def test_a_training_curve_is_drawn_from_the_metrics(tmp_path: Path) -> None:
    lines = [json.dumps({"images": 100 * n, "loss": 1 / n}) for n in range(1, 9)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    curve = training_curve(tmp_path / "metrics.jsonl")
    assert np.asarray(curve.convert("L")).min() < 100
    lines.append('{"images": 900, "loss": 0.1, "held_out_loss": 0.5}')
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert not np.array_equal(np.asarray(training_curve(tmp_path / "metrics.jsonl")), np.asarray(curve))


def test_losses_by_level_are_drawn_beside_what_they_are_compared_with_and_where_there_are_any() -> None:
    times = [100.0, 500.0, 900.0]
    one = level_curves(times, {"network": [1.0, None, 3.0]}, {})
    both = level_curves(times, {"network": [1.0, None, 3.0]}, {"alone": [2.0, 3.0, 4.0], "often": [4.0] * 3})
    assert np.asarray(one.convert("L")).min() < 150
    assert not np.array_equal(np.asarray(one), np.asarray(both))
