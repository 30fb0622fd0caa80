import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti import recipes
from smalti.codec import Codec
from smalti.data import open_images
from smalti.errors import SmaltiError
from smalti.recipes.compress import file_names


def test_two_photos_of_one_name_are_refused_and_one_does_not_replace_the_other() -> None:
    assert file_names(["a/1.png", "../1.png", "/b.jpg"]) == ["a/1.smalti", "1.smalti", "b.smalti"]
    with pytest.raises(SmaltiError, match=r"both become 1\.png\.smalti"):
        file_names(["1.png", "2.png", "1.png"])


def test_a_long_name_is_cut_and_stays_its_own() -> None:
    names = ["in/" + "ä" * 120 + end + ".jpg" for end in ("1", "2")]
    made = file_names(names)
    assert len(set(made)) == 2
    for name in made:
        assert name.startswith("in/ää")
        assert len(name.removeprefix("in/").encode()) <= 255


def test_photos_go_into_small_files_and_back(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path / "codec")
    (tmp_path / "photos").mkdir()
    for path in sorted(photo_folder.rglob("*.png"))[:3]:
        (tmp_path / "photos" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "photos" / "fake.jpg").write_text("text")
    made = recipes.compress(str(tmp_path / "photos"), tmp_path / "small", str(tmp_path / "codec"), rounds=0)
    assert made.codec.fingerprint == codec.fingerprint
    assert [name for name, _ in made.skipped] == ["fake.jpg"]
    assert len(made.files) == 3
    for name, figures in made.files.items():
        assert figures["bytes"] == (tmp_path / "small" / name).stat().st_size
        assert figures["bits_per_pixel"] == pytest.approx(8 * figures["bytes"] / (48 * 40))
    written = json.loads((tmp_path / "small" / "compress.json").read_text())
    assert written["files"] == made.files
    assert written["fingerprint"] == codec.fingerprint

    names, skipped = recipes.decompress(tmp_path / "small", tmp_path / "back", str(tmp_path / "codec"))
    assert skipped == []
    images = open_images(tmp_path / "photos")
    for name, picture in zip(sorted(names), images.pictures(), strict=True):
        with Image.open(tmp_path / "back" / name) as image:
            decoded = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        expected = codec.decode(codec.encode(picture.pixels[None]), (48, 40))[0]
        assert torch.equal(decoded, expected)


def test_files_of_a_codec_that_is_not_of_the_package_ask_for_it(
    photo_folder: Path, codec: Codec, tmp_path: Path
) -> None:
    codec.save_pretrained(tmp_path / "codec")
    photo = next(iter(photo_folder.rglob("*.png")))
    recipes.compress(str(photo), tmp_path / "small", str(tmp_path / "codec"), rounds=0)
    with pytest.raises(SmaltiError, match="--codec"):
        recipes.decompress(tmp_path / "small", tmp_path / "back")
    assert not (tmp_path / "back").exists()
