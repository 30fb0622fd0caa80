from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from smalti.app import Subject
from smalti.app.paint import extended, filled_in, mask_of, taken, varied
from smalti.app.shared import Asked
from smalti.errors import SmaltiError
from smalti.pipeline import SampleSettings, SmaltiPipeline

FEW = Asked(settings=SampleSettings(steps=2), count=2, labels=None)


@pytest.fixture(scope="module")
def small(photo: torch.Tensor) -> torch.Tensor:
    return photo[:, 100:116, 100:124].contiguous()


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a browser sends: a canvas of 480x320, of which the middle is painted."""
    image = Image.new("RGBA", (480, 320), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((160, 80, 319, 239), fill="#b9562f")
    path = tmp_path_factory.mktemp("layer") / "layer_0.png"
    image.save(path)
    return path


def test_what_is_painted_on_the_canvas_is_masked_in_the_photo(layer: Path) -> None:
    mask = mask_of([layer], (16, 24))
    expected = torch.zeros(16, 24, dtype=torch.bool)
    expected[4:12, 8:16] = True
    assert mask[expected].all()
    assert not (mask & ~torch.nn.functional.max_pool2d(expected[None].float(), 3, 1, 1)[0].bool()).any()
    assert not mask_of([], (16, 24)).any()


def test_what_is_not_painted_stays_and_what_is_is_made_anew(
    pipe: SmaltiPipeline, small: torch.Tensor, layer: Path
) -> None:
    mask = mask_of([layer], (16, 24))
    made = filled_in(pipe, small, [layer], FEW, 1)
    before = small.permute(1, 2, 0).numpy()
    assert len(made) == 2
    for image in made:
        assert np.array_equal(np.asarray(image)[~mask.numpy()], before[~mask.numpy()])
        assert not np.array_equal(np.asarray(image), before)


def test_a_photo_for_a_model_of_several_sizes_keeps_its_shape_and_is_painted_over_in_it(
    subject: Subject, photo_file: Path, layer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(photo_file) as lying:
        lying.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "standing.png")
    assert taken(subject.pipe, subject.folder, tmp_path / "standing.png").shape == (3, 16, 24)
    monkeypatch.setattr(subject.pipe, "sizes", {(16, 24): 1, (24, 16): 1})
    for path, shape in ((photo_file, (3, 16, 24)), (tmp_path / "standing.png", (3, 24, 16))):
        photo = taken(subject.pipe, subject.folder, path)
        assert photo.shape == shape
        mask = mask_of([layer], shape[1:])
        for image in filled_in(subject.pipe, photo, [layer], FEW, 1):
            assert np.array_equal(np.asarray(image)[~mask.numpy()], photo.permute(1, 2, 0).numpy()[~mask.numpy()])


def test_nothing_is_filled_in_without_a_photo_or_paint(pipe: SmaltiPipeline, small: torch.Tensor) -> None:
    with pytest.raises(SmaltiError, match="nothing is painted"):
        filled_in(pipe, small, [], FEW, 1)
    with pytest.raises(SmaltiError, match="no photo yet"):
        varied(pipe, None, 0.5, FEW)


def test_an_extended_photo_has_the_photo_in_its_middle(pipe: SmaltiPipeline, small: torch.Tensor) -> None:
    for image in extended(pipe, small, (4, 8), FEW):
        assert image.size == (24 + 16, 16 + 8)
        assert np.array_equal(np.asarray(image)[4:20, 8:32], small.permute(1, 2, 0).numpy())
    with pytest.raises(SmaltiError, match="margin of no pixels"):
        extended(pipe, small, (0, 0), FEW)


def test_a_variation_of_no_strength_is_what_the_codec_keeps(pipe: SmaltiPipeline, small: torch.Tensor) -> None:
    kept = pipe.codec.decode(pipe.codec.encode(small[None]))[0].permute(1, 2, 0).numpy()
    for image in varied(pipe, small, 0, FEW):
        assert np.array_equal(np.asarray(image), kept)
