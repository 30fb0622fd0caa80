"""The scripts in `examples/`, each run on tiny data."""

import importlib.util
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import open_images
from smalti.metrics import psnr
from smalti.pipeline import SampleSettings
from smalti.recipes import CreateSettings
from smalti.schedulers import SCHEDULERS

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(ROOT.glob("examples/*.py"))
MOST_LINES = 60
SIZE = 16


def _main(name: str) -> Callable[..., None]:
    """The function of a script, which is in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def model(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first example leaves, hardly trained."""
    out = tmp_path_factory.mktemp("own_photos") / "model"
    settings = CreateSettings(
        size=SIZE,
        codec="OPQ-12@6-5@5-4@4/4",
        images=16,
        batch_size=8,
        width=32,
        processes=1,
        refine=False,
        checkpoint_every=16,
    )
    _main("own_photos")(str(photo_folder), out=out, settings=settings)
    return out


@pytest.fixture
def schedulers() -> Iterator[None]:
    """The table of schedulers as it was, afterwards."""
    before = dict(SCHEDULERS)
    yield
    SCHEDULERS.clear()
    SCHEDULERS.update(before)


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_own_photos(model: Path) -> None:
    assert _size(model / "sixteen.png") == (4 * (SIZE + 2) + 2, 4 * (SIZE + 2) + 2)


def test_labels(photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _main("labels")(str(photo_folder), out=tmp_path, size=SIZE, images=64, steps=3)
    assert "by rows cats, others" in capsys.readouterr().out
    assert _size(tmp_path / "classes.png") == (8 * (SIZE + 2) + 2, 2 * (SIZE + 2) + 2)


def test_satellite_bands(photos: list[torch.Tensor], tmp_path: Path) -> None:
    crops = [photo[:, y : y + 32, x : x + 32] for photo in photos for y in (0, 64, 128) for x in (0, 64, 128)]
    tiles = torch.stack(crops).repeat(1, 2, 1, 1)[:, :4].numpy().astype(np.uint16) * 200
    np.save(tmp_path / "tiles.npy", tiles)
    _main("satellite_bands")(tmp_path / "tiles.npy", out=tmp_path / "out", size=SIZE, images=64, count=2)
    made = np.load(tmp_path / "out" / "generated.npy")
    assert made.dtype == np.uint16
    assert made.shape == (2, 4, SIZE, SIZE)


def test_a_codec_in_numpy_decodes_what_the_codec_does(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path / "codec")
    photo, out = photo_folder / "cats" / "00.png", tmp_path / "decoded.png"
    _main("codec_in_numpy")(photo, codec=str(tmp_path / "codec"), out=out)
    (x,) = open_images(photo)
    z = torch.from_numpy(np.load(out.with_suffix(".npy")).astype(np.int64))[None]
    assert torch.equal(z, codec.encode(x[None]))
    (decoded,) = open_images(out)
    assert psnr(decoded[None], codec.decode(z, (x.shape[1], x.shape[2]))) > 50  # rounding apart


def test_a_codec_in_another_trainer(photo_folder: Path, tmp_path: Path) -> None:
    _main("codec_in_another_trainer")(str(photo_folder), out=tmp_path / "tokens.png", size=32, steps=2)
    assert _size(tmp_path / "tokens.png") == (4 * 34 + 2, 2 * 34 + 2)


def test_inpainting(model: Path, photo_folder: Path, tmp_path: Path) -> None:
    photo = photo_folder / "cats" / "00.png"
    _main("inpainting")(str(model), photo, out=tmp_path / "inpainted.png", settings=SampleSettings(steps=5))
    assert _size(tmp_path / "inpainted.png") == (6 * (SIZE + 2) + 2, SIZE + 4)


@pytest.mark.usefixtures("schedulers")
def test_a_scheduler_of_ones_own_draws_what_ddim_does(model: Path, tmp_path: Path) -> None:
    _main("own_scheduler")(str(model), out=tmp_path / "schedulers.png", count=4, steps=10)
    with Image.open(tmp_path / "schedulers.png") as image:
        rows = np.asarray(image)[2:].reshape(2, SIZE + 2, -1)
    assert np.mean(rows[0] != rows[1]) < 0.05  # where rounding decided between two codewords


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_is_short_says_what_it_shows_and_has_help(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert f"python examples/{script.name} " in text
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(script), run_name="__main__")
    assert "usage" in capsys.readouterr().out


def test_every_example_is_run_here_and_shown_in_the_documents() -> None:
    tests, page = Path(__file__).read_text("utf-8"), (ROOT / "docs" / "examples.md").read_text("utf-8")
    for script in SCRIPTS:
        assert f'_main("{script.stem}")' in tests
        assert f'"examples/{script.name}"' in page
