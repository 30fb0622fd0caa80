import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import CropSettings, Latents, open_images
from smalti.encoding import encode_images, shards, work
from smalti.errors import SmaltiError
from smalti.files import read_json, write_json


@pytest.fixture
def encoded(photo_folder: Path, codec: Codec, tmp_path: Path) -> Latents:
    return encode_images(open_images(photo_folder, size=16), codec, tmp_path / "latents", progress=False)


def test_latents_are_those_of_the_images_and_of_their_mirror_images(
    encoded: Latents, photo_folder: Path, codec: Codec
) -> None:
    pictures = list(open_images(photo_folder, size=16).pictures())
    assert len(encoded) == 2 * len(pictures)
    assert encoded.images == len(pictures)
    assert encoded.grid == (4, 4)
    assert encoded.size == (16, 16)
    for number, picture in enumerate(pictures):
        plain, mirrored = encoded[np.array([2 * number, 2 * number + 1])]
        assert torch.equal(plain, codec.encode(picture.pixels[None])[0])
        assert torch.equal(mirrored, codec.encode(picture.pixels.flip(2)[None])[0])
        assert encoded.labels[2 * number : 2 * number + 2].tolist() == [list(picture.labels)] * 2


def test_counts_say_how_often_each_codeword_occurs(encoded: Latents, codec: Codec) -> None:
    every = encoded[np.arange(len(encoded))]
    for channel in range(every.shape[1]):
        expected = torch.bincount(every[:, channel].flatten(), minlength=codec.codebooks.shape[1])
        assert torch.equal(encoded.counts[channel], expected)


def test_shards_do_not_show_in_what_is_read(
    encoded: Latents, photo_folder: Path, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_LEAST_IMAGES", 5)
    monkeypatch.setattr(work, "_BATCH", 3)
    small = encode_images(open_images(photo_folder, size=16), codec, tmp_path / "small", progress=False)
    assert len(small.manifest.shards) == 3
    rows = np.random.default_rng(0).permutation(len(encoded))
    assert torch.equal(small[rows], encoded[rows])
    for resident in (Latents(small.folder, "cpu"), pickle.loads(pickle.dumps(Latents(small.folder, "cpu")))):
        shutil.move(small.folder, tmp_path / "away")
        found = resident[rows]  # without the files
        shutil.move(tmp_path / "away", small.folder)
        assert found.dtype == torch.int64
        assert torch.equal(found, encoded[rows])


def test_wide_indices_are_the_same_when_resident(
    photo_folder: Path, photos: list[torch.Tensor], tmp_path: Path
) -> None:
    wide = Codec.fit(photos, "VQ-9@9-4@4-4@4/2", patches=2_000, progress=False)
    made = encode_images(open_images(photo_folder, size=16), wide, tmp_path / "wide", progress=False)
    rows = np.arange(len(made))
    assert made[rows].max() > 255
    assert torch.equal(Latents(made.folder, "cpu")[rows], made[rows])


def test_the_manifest_says_how_they_were_made(encoded: Latents, codec: Codec) -> None:
    assert encoded.manifest.crop == CropSettings(size=16, crop="center", mode="RGB", seed=0)
    assert encoded.manifest.codec_fingerprint == codec.fingerprint
    assert encoded.classes == ["cats", "others"]
    assert encoded.codec().fingerprint == codec.fingerprint


def test_views_are_other_crops_of_the_same_images(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    images = open_images(photo_folder, size=16, crop="random")
    several = encode_images(images, codec, tmp_path / "latents", views=2, flips=False, progress=False)
    assert (len(several), several.images) == (48, 24)
    first, second = several[np.arange(24)], several[np.arange(24, 48)]
    assert not torch.equal(first, second)
    assert several.labels[:24].tolist() == several.labels[24:].tolist()


def test_a_failed_encode_leaves_nothing(codec: Codec, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number, side in enumerate((16, 20)):
        Image.new("RGB", (side, side)).save(tmp_path / "photos" / f"{number}.png")
    with pytest.raises(SmaltiError, match="20x20"):
        encode_images(open_images(tmp_path / "photos"), codec, tmp_path / "out" / "latents", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize("name", ["manifest.json", "labels.npy", "counts.npy", "codes-00000.npy"])
def test_a_damaged_folder_is_named(encoded: Latents, name: str) -> None:
    path = encoded.folder / name
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(SmaltiError, match="latents"):
        Latents(encoded.folder)
    path.unlink()
    with pytest.raises(SmaltiError, match=name):
        Latents(encoded.folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": 23}, "where its manifest makes them 46"),
        ({"views": 2}, "where its manifest makes them 96"),
        ({"flips": False}, "where its manifest makes them 24"),
        ({"classes": ["cats"]}, "labels of classes that it does not name"),
    ],
)
def test_a_manifest_that_contradicts_its_arrays_is_refused(
    encoded: Latents, change: dict[str, object], says: str
) -> None:
    manifest = read_json(encoded.folder / "manifest.json")
    write_json(encoded.folder / "manifest.json", manifest | change)
    with pytest.raises(SmaltiError, match=says):
        Latents(encoded.folder)


def test_latents_of_a_later_version_or_another_codec_are_refused(encoded: Latents, photo: torch.Tensor) -> None:
    manifest = read_json(encoded.folder / "manifest.json")
    write_json(encoded.folder / "manifest.json", manifest | {"format_version": 99})
    with pytest.raises(SmaltiError, match="later version"):
        Latents(encoded.folder)
    write_json(encoded.folder / "manifest.json", manifest)
    Codec.fit([photo], "VQ-4@4-4@4-4@4/4", patches=500, progress=False).save_pretrained(encoded.folder / "codec")
    with pytest.raises(SmaltiError, match="did not make"):
        Latents(encoded.folder).codec()
    with pytest.raises(SmaltiError, match="no such folder"):
        Latents(encoded.folder / "absent")
