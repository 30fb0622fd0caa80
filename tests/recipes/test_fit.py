import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from smalti.codec import Codec
from smalti.data import open_images
from smalti.errors import SmaltiError
from smalti.evaluation import codec_quality
from smalti.recipes import CreateSettings, FitSettings, PhotoSettings, create, encode, fit

SPEC = "PQ-12@6-4@4-4@4/4"


def test_a_codec_is_fitted_on_photos_and_written_with_what_it_keeps_of_them(photo_folder: Path, tmp_path: Path) -> None:
    settings = FitSettings(patches=2_000, images=10, seed=1)
    codec, quality = fit(str(photo_folder), SPEC, tmp_path / "codec", settings, crop=PhotoSettings(size=32))
    images = open_images(photo_folder, size=32).sample(10, 1)
    assert codec.fingerprint == Codec.fit(images, SPEC, patches=2_000, seed=1, progress=False).fingerprint
    assert Codec.from_pretrained(tmp_path / "codec").fingerprint == codec.fingerprint
    assert quality.images == 10
    assert quality.psnr == pytest.approx(codec_quality(images, codec).psnr)
    written = json.loads((tmp_path / "codec" / "fit.json").read_text())
    assert written["fingerprint"] == codec.fingerprint
    assert written["on_its_own_photos"] == quality.figures
    assert written["images"] == 10
    assert written["settings"]["crop"] == {
        "size": 32,
        "crop": "center",
        "mode": "RGB",
        "seed": 1,
        "colour": 0.0,
        "sizes": [],
    }
    with pytest.raises(SmaltiError, match="not empty"):
        fit(str(photo_folder), SPEC, tmp_path / "codec", settings)


def test_photos_of_one_colour_each_are_refused_and_one_among_others_is_not(photo_folder: Path, tmp_path: Path) -> None:
    """A codec and a generator of them would seem to be very good."""
    for number in range(12):
        Image.new("RGB", (32, 32), (20 * number, 9, 200)).save(tmp_path / f"{number}.png")
    for make in (
        lambda: fit(str(tmp_path), SPEC, tmp_path / "codec"),
        lambda: create(tmp_path, tmp_path / "model", CreateSettings(size=16)),
        lambda: encode(str(tmp_path), "photo-low", tmp_path / "latents"),
    ):
        with pytest.raises(SmaltiError, match="not one of 12 images has any contrast"):
            make()
    assert {path.suffix for path in tmp_path.iterdir()} == {".png"}
    shutil.copy(next(photo_folder.rglob("*.png")), tmp_path)
    encode(str(tmp_path), "photo-low", tmp_path / "latents")


def test_pictures_have_no_codec_of_bands(photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"2 planes are no photos.*take --bands"):
        fit(str(photo_folder), "PQ-4@4-4@4/4", tmp_path / "codec")
    assert not (tmp_path / "codec").exists()
