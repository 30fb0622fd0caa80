"""Pictures of five bands, from the command line alone: from a folder to samples."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from smalti.cli import main
from smalti.codec import Codec
from smalti.data import Latents
from smalti.errors import SmaltiError
from smalti.pixels import PixelFormat
from smalti.recipes import CreateSettings, refine
from smalti.training import RefinerSettings


@pytest.fixture
def tiles(tmp_path: Path, photos: list[torch.Tensor]) -> Path:
    """Twenty tiles of 24x24 pixels and five bands of 12 bits, every other as an array."""
    folder, random = tmp_path / "tiles", np.random.default_rng(0)
    folder.mkdir()
    for number in range(20):
        top, left = random.integers(0, 200, 2)
        colour = photos[number % 3][:, top : top + 24, left : left + 24].numpy().astype(np.uint16)
        bands = np.concatenate([colour * 16, colour[:2] * 8 + 100])
        if number % 2:
            np.save(folder / f"{number:02d}.npy", bands)
        else:
            tifffile.imwrite(folder / f"{number:02d}.tif", bands, photometric="minisblack")
    return folder


def test_bands_are_fitted_encoded_learned_and_sampled(
    tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(import_module("smalti.recipes.samples"), "_PROGRESS_COUNT", 2)
    codec, latents, model, out = (str(tmp_path / name) for name in ("codec", "latents", "model", "out"))
    spec = "PQ-16@4-8@4-8@4-8@4-8@4/4"
    main(["fit", str(tiles), "--codec", spec, "--bands", "--out", codec])
    form = Codec.from_pretrained(codec).pixel_format
    values = [np.load(path) if path.suffix == ".npy" else tifffile.imread(path) for path in tiles.iterdir()]
    assert form == PixelFormat(
        planes=5, lowest=int(min(each.min() for each in values)), highest=int(max(each.max() for each in values))
    )
    assert str(form) in capsys.readouterr().out
    assert json.loads((tmp_path / "codec" / "fit.json").read_text())["settings"]["bands"] is True

    main(["encode", str(tiles), "--codec", codec, "--size", "16", "--out", latents])
    assert Latents(latents).manifest.crop.mode == form  # as it is read again
    train = ["train", latents, "--out", model, "--images", "16", "--batch-size", "8", "--width", "32"]
    main([*train, "--device", "cpu", "--processes", "1"])
    main(["sample", model, "--count", "2", "--steps", "2", "--out", out, "--device", "cpu"])
    for number in range(2):
        made = np.load(tmp_path / "out" / f"{number:05d}.npy")
        assert made.shape == (5, 16, 16)
        assert made.dtype == np.int32
        assert form.lowest <= made.min() <= made.max() <= form.highest
        with Image.open(tmp_path / "out" / f"{number:05d}.png") as shown:
            assert (shown.mode, shown.size) == ("RGB", (16, 16))

    short = RefinerSettings(network_width=16, pairs=8, pairs_a_step=8)
    assert len(refine(str(tiles), Path(model), short, device="cpu")) == len(values)

    chosen = CreateSettings(codec=codec).choose_codec()
    assert isinstance(chosen, Codec)
    assert chosen.pixel_format == form
    with pytest.raises(SmaltiError, match="need another codec"):
        CreateSettings(codec=codec, grey=True).choose_codec()

    main(["compress", str(tiles), "--codec", codec, "--out", str(tmp_path / "small")])
    main(["decompress", str(tmp_path / "small"), "--codec", codec, "--out", str(tmp_path / "back")])
    back = np.load(tmp_path / "back" / "01.npy").astype(int)
    error = np.abs(back - np.load(tiles / "01.npy")).mean()
    assert error < 0.05 * (form.highest - form.lowest)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--codec", "PQ-16-16-16-16-16/4"], "take --bands"),
        (["--codec", "PQ-16/4", "--highest", "4095"], "take --bands with them"),
        (["--codec", "PQ-16-16/4", "--bands"], "not that of 2 planes"),
        (["--codec", "PQ-16-16-16-16-16/4", "--bands", "--lowest", "5", "--highest", "5"], "must be the larger one"),
    ],
)
def test_what_does_not_fit_is_a_sentence(
    options: list[str], said: str, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", str(tiles), "--out", str(tmp_path / "codec"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "codec").exists()
