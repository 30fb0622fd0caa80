import json
from pathlib import Path

import pytest

from smalti.codec import Codec
from smalti.data import open_images
from smalti.errors import SmaltiError
from smalti.evaluation import codec_quality
from smalti.recipes import FitSettings, PhotoSettings, fit

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
    assert written["settings"]["crop"] == {"size": 32, "crop": "center", "mode": "RGB", "seed": 0}
    with pytest.raises(SmaltiError, match="not empty"):
        fit(str(photo_folder), SPEC, tmp_path / "codec", settings)


def test_pictures_have_no_codec_of_bands(photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"2 planes are no photos.*take --bands"):
        fit(str(photo_folder), "PQ-4@4-4@4/4", tmp_path / "codec")
    assert not (tmp_path / "codec").exists()
