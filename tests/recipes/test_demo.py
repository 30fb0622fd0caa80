import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smalti.errors import SmaltiError
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.demo import DemoSettings, demo


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    demo(folder, DemoSettings(images=640, generated=20, photo_patches=3_000), device="cpu")
    return folder


def test_the_report_holds_the_figures_and_its_pictures(out: Path) -> None:
    report = (out / "report.html").read_text()
    figures = json.loads((out / "report.json").read_text())
    for name in ("samples.png", "codecs.png"):
        assert base64.b64encode((out / name).read_bytes()).decode() in report
        with Image.open(out / name) as picture:
            assert np.asarray(picture).std() > 10
    assert f"{figures['digits_accuracy']:.1%}" in report
    assert len(figures["photos"]) == 12
    assert all(row["psnr"] > 20 for row in figures["photos"])


def test_the_ceiling_is_near_what_untouched_digits_reach(out: Path) -> None:
    figures = json.loads((out / "report.json").read_text())
    assert figures["real_accuracy"] > 0.97
    assert figures["decoded_accuracy"] > 0.95
    near = figures["nearest_training"]
    assert 0 < near["held_out"] < 60
    assert abs(near["decoded_held_out"] - near["held_out"]) < 5


def test_the_model_samples_each_digit(out: Path) -> None:
    pipe = SmaltiPipeline.from_pretrained(out / "digits")
    pipe.set_progress_bar_config(disable=True)
    assert pipe.classes == [str(digit) for digit in range(10)]
    assert pipe(1, class_labels=7, num_inference_steps=2).images[0].size == (32, 32)  # pyright: ignore


def test_a_full_folder_is_refused(out: Path) -> None:
    with pytest.raises(SmaltiError, match="not empty"):
        demo(out)
