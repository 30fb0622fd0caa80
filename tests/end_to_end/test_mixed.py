"""Mixed photos the whole way: each keeps its shape, and what is made has the same shapes."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from smalti.errors import SmaltiError
from smalti.evaluation import EvaluateSettings
from smalti.files import read_json
from smalti.model_folder import ModelFolder
from smalti.pipeline import SampleSettings
from smalti.pipeline.card import model_card
from smalti.recipes import CreateSettings, EditSettings, create, edit, evaluate, sample

SETTINGS = CreateSettings(
    size=16, keep_aspect=True, codec="OPQ-12@6-5@5-4@4/4", images=16, batch_size=8, width=32, processes=1
)
SAMPLING = SampleSettings(steps=2)


@pytest.fixture(scope="module")
def photo_files(photos: list[torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(24):
        height, width = ((36, 24), (24, 36))[number % 2]
        top, left = 3 * number, 5 * number
        crop = photos[number % 3][:, top : top + height, left : left + width]
        Image.fromarray(crop.permute(1, 2, 0).numpy()).save(folder / f"{number:02d}.png")
    return folder


def test_a_model_of_mixed_photos_is_created_sampled_edited_and_measured(
    photo_files: Path, feature_network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    pipe = create(photo_files, model, SETTINGS, device="cpu")
    assert "the nearest of 2 sizes in pixels (height x width): " in capsys.readouterr().out
    assert pipe.sizes.keys() == {(12, 20), (20, 12)}
    assert sum(pipe.sizes.values()) == 20  # and 4 are held out
    assert pipe.refiner is not None  # trained on crops of 12x12
    assert "12x20" in (model / "report.html").read_text()

    create(photo_files, model, SETTINGS, resume=True, device="cpu")  # which is done
    assert "on all 16 images already" in capsys.readouterr().out
    with pytest.raises(SmaltiError, match="was begun otherwise"):
        create(photo_files, model, CreateSettings(size=16, images=16), resume=True, device="cpu")

    assert "pictures of 20x12, 12x20 pixels" in str(model_card(pipe, ModelFolder(model), "me/mixed"))

    sample(str(model), tmp_path / "samples", SAMPLING, count=9, device="cpu")
    made = [_size(path) for path in sorted((tmp_path / "samples").glob("0*.png"))]
    assert set(made) == {(20, 12), (12, 20)}
    assert _size(tmp_path / "samples" / "grid.png") == (8 * 22 + 2, 2 * 22 + 2)

    edit(str(model), photo_files / "00.png", tmp_path / "edited", EditSettings(strength=0.5, count=1), SAMPLING)
    assert _size(tmp_path / "edited" / "00000.png") == (12, 20)

    settings = EvaluateSettings(count=20, sampling=SAMPLING)
    found = evaluate(model, photo_files, feature_network, tmp_path / "out", settings, device="cpu")
    assert not any("smaller" in warning for warning in found.warnings)
    assert len(found.samples) == 20
    assert len({tuple(picture.shape) for picture in found.samples}) == 2
    assert read_json(tmp_path / "out" / "evaluation.json")["nearest_training"]["source"] == (
        "the latents it was trained on"
    )


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_size_that_is_no_square_has_no_area_of_one_side() -> None:
    with pytest.raises(SmaltiError, match="give --size one number"):
        CreateSettings(size=(64, 96), keep_aspect=True)
