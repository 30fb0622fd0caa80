from pathlib import Path
from typing import Any

import pytest

from smalti.codec import Codec
from smalti.data import CropSettings, Manifest, open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.files import read_json, record, write_json
from smalti.model_folder import ModelFolder
from smalti.records import to_record

# As version 0.1.0 wrote it, when it was a dictionary.
OLD: dict[str, Any] = {
    "format_version": 1,
    "source": "photos",
    "source_fingerprint": "78d6547dc307d03f",
    "crop": {"size": 32, "crop": "center", "mode": "RGB", "seed": 0},
    "images": 80,
    "views": 1,
    "flips": True,
    "size": [32, 32],
    "classes": ["one", "two"],
    "codec": "OPQ-16-8-8/4",
    "codec_fingerprint": "27adac8dbcae5f16",
    "skipped": [["fake.png", "no picture of a kind that is read here"]],
    "shards": ["codes-00000.npy"],
    "versions": {"smalti": "0.1.0", "torch": "2.13.0"},
    "machine": {"system": "Linux", "processor": "some", "cores": 2, "python": "3.11.7"},
}
READ = Manifest(
    source="photos",
    source_fingerprint="78d6547dc307d03f",
    crop=CropSettings(size=32),
    images=80,
    views=1,
    flips=True,
    size=(32, 32),
    classes=["one", "two"],
    codec="OPQ-16-8-8/4",
    codec_fingerprint="27adac8dbcae5f16",
    skipped=[["fake.png", "no picture of a kind that is read here"]],
    shards=["codes-00000.npy"],
)


def test_a_manifest_of_the_first_version_is_read_as_it_was(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", OLD)
    assert Manifest.read(tmp_path) == READ
    assert {**to_record(READ), **{name: OLD[name] for name in ("versions", "machine")}} == OLD | {
        "told": "",
        "digests": {},
        "parts": [],
        "crop": {**OLD["crop"], "colour": 0.0, "sizes": []},
    }


def test_what_is_written_is_what_is_read(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    images = open_images(photo_folder, size=16, crop="random", seed=4)
    latents = encode_images(images, codec, tmp_path / "latents", views=2, progress=False)
    manifest = Manifest.read(tmp_path / "latents")
    assert manifest == latents.manifest
    assert manifest.crop == images.settings
    assert (manifest.source, manifest.source_fingerprint) == (str(photo_folder), images.fingerprint)
    assert (manifest.images, manifest.views, manifest.flips, manifest.size) == (24, 2, True, (16, 16))
    assert (manifest.codec, manifest.codec_fingerprint) == (str(codec.spec), codec.fingerprint)
    assert "torch" in read_json(tmp_path / "latents" / "manifest.json")["versions"]


def test_a_model_says_what_it_was_trained_on(tmp_path: Path) -> None:
    folder = ModelFolder(tmp_path)
    assert Manifest.of_model(folder) is None
    write_json(tmp_path / "train.json", {"training": {}})
    assert Manifest.of_model(folder) is None
    for written in (OLD, record(**to_record(READ))):
        write_json(tmp_path / "train.json", {"latents": written})
        assert Manifest.of_model(folder) == READ
    write_json(tmp_path / "train.json", {"latents": OLD | {"views": "some"}})
    with pytest.raises(SmaltiError, match=r"train\.json.*views"):
        Manifest.of_model(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": "many"}, "images"),
        ({"size": 32}, "int"),
        ({"crop": {"size": 32, "shape": "round"}}, "shape"),
        ({"crop": {"size": 32, "crop": "round"}}, "crop"),
        ({"colour": "blue"}, "colour"),
        ({"format_version": 2}, "later version"),
    ],
)
def test_a_damaged_manifest_is_named_in_one_sentence(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    write_json(tmp_path / "manifest.json", OLD | change)
    with pytest.raises(SmaltiError, match=str(tmp_path)) as caught:
        Manifest.read(tmp_path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", sorted(set(OLD) - {"format_version", "versions", "machine"}))
def test_an_entry_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    write_json(tmp_path / "manifest.json", {name: value for name, value in OLD.items() if name != missing})
    with pytest.raises(SmaltiError, match=f'"{missing}"'):
        Manifest.read(tmp_path)


def test_the_fingerprint_follows_images_codec_and_the_way_they_were_encoded(tmp_path: Path) -> None:
    prints = []
    for change in (
        {},
        {"source_fingerprint": "0"},
        {"codec_fingerprint": "0"},
        {"images": 81},
        {"views": 2},
        {"flips": False},
    ):
        write_json(tmp_path / "manifest.json", OLD | change)
        prints.append(Manifest.read(tmp_path).fingerprint)
    assert len(set(prints)) == 6
    write_json(tmp_path / "manifest.json", OLD | {"source": "elsewhere", "shards": ["a.npy"], "machine": {}})
    assert Manifest.read(tmp_path).fingerprint == prints[0]
