"""Photos that keep their shapes: a folder of latents for each size, however often encoding was killed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import Images, Latents, MixedLatents, open_images, open_latents
from smalti.encoding import encode_images, shards
from smalti.encoding.work import Encoded
from smalti.errors import SmaltiError
from smalti.files import read_json, write_record
from smalti.locks import unfinished
from smalti.signals import Ended


@pytest.fixture
def images(tmp_path: Path, photos: list[torch.Tensor]) -> Images:
    for number, (height, width) in enumerate([(24, 16)] * 3 + [(16, 24)] * 4 + [(20, 20)] * 5):
        place = tmp_path / "photos" / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        crop = photos[number % 3][:, 50 + 9 * number : 50 + 9 * number + height, 100 : 100 + width]
        Image.fromarray(crop.permute(1, 2, 0).numpy()).save(place / f"{number:02d}.png")
    return open_images(tmp_path / "photos", size=16).keeping_shapes(4)


def test_each_size_has_latents_of_its_own_that_hold_every_image_once(
    images: Images, codec: Codec, tmp_path: Path
) -> None:
    latents = encode_images(images, codec, tmp_path / "latents", progress=False)
    assert isinstance(latents, MixedLatents)
    assert latents.images == len(images) == sum(part.images for part in latents.parts)
    assert len(latents) == sum(map(len, latents.parts)) == 2 * len(images)
    assert [part.size for part in latents.parts] == list(images.settings.sizes) == [(16, 16), (12, 20), (20, 12)]
    assert latents.classes == ["a", "b"]
    assert torch.equal(latents.counts, sum(part.counts for part in latents.parts))
    for size, part in zip(images.settings.sizes, latents.parts, strict=True):
        alone = encode_images(images.by_size()[size], codec, tmp_path / str(size), progress=False)
        assert isinstance(alone, Latents)
        rows = np.arange(len(part))
        assert torch.equal(part[rows], alone[rows])
    assert latents.image_of(torch.arange(len(latents))).tolist() == [n for n in range(len(images)) for _ in range(2)]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_was_killed_goes_on_to_the_same_bytes(
    images: Images,
    codec: Codec,
    tmp_path: Path,
    same: Callable[[Path, Path], bool],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    after: int,
) -> None:
    encode_images(images, codec, tmp_path / "whole", progress=False)
    out, write, whole = tmp_path / "out", shards.Shards.write, []

    def killed(self: shards.Shards, encoded: Encoded) -> None:
        if len(whole) == after:
            raise Ended(15)
        whole.append(write(self, encoded))

    with monkeypatch.context() as patched:
        patched.setattr(shards.Shards, "write", killed)
        with pytest.raises(Ended, match=f"{after} of 3 sizes of {out} are kept, --resume" if after else "is cleared"):
            encode_images(images, codec, out, progress=False)
    assert not out.exists()
    assert (unfinished(out) is not None) == (after > 0)  # where nothing is whole nothing would be lost
    if after:
        with pytest.raises(SmaltiError, match="was begun otherwise"):
            encode_images(images, codec, out, flips=False, resume=True, progress=False)
    encode_images(images, codec, out, resume=True, progress=False)
    assert same(out, tmp_path / "whole")
    assert unfinished(out) is None
    encode_images(images, codec, out, resume=True, progress=False)  # which is done
    assert ".partial" not in capsys.readouterr().out


def test_parts_that_do_not_go_together_are_refused(images: Images, codec: Codec, tmp_path: Path) -> None:
    out = tmp_path / "latents"
    encode_images(images, codec, out, progress=False)
    with pytest.raises(SmaltiError, match="of several sizes"):
        Latents(out)
    manifest = read_json(out / "manifest.json")
    for changed, told in (
        ({"parts": manifest["parts"][:1]}, "does not hold the 12 images"),
        ({"codec_fingerprint": "another"}, "another codec fingerprint"),
        ({"parts": ["../elsewhere"]}, "is one of its files"),
    ):
        write_record(out / "manifest.json", **manifest | changed)
        with pytest.raises(SmaltiError, match=told):
            open_latents(out)


def test_shards_of_a_size_that_is_not_whole_are_told_too(
    images: Images,
    codec: Codec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(shards, "_LEAST_IMAGES", 2)
    out, write, room = tmp_path / "out", shards.Shards.write, []

    def failing(self: shards.Shards, encoded: Encoded) -> None:
        if not room:
            raise SmaltiError("no room")
        write(self, encoded)
        room.pop()

    monkeypatch.setattr(shards.Shards, "write", failing)
    for more, kept in ((1, "1 shards"), (3, "1 of 3 sizes and 1 shards of another size")):  # of 3, 2 and 2
        room += [True] * more
        with pytest.raises(SmaltiError, match="no room"):
            encode_images(images, codec, out, resume=more > 1, progress=False)
        assert capsys.readouterr().out == f"{out}: {kept} are kept, --resume goes on with them\n"


def _cut_short(folder: Path, shape: tuple[int, int]) -> list[str]:
    """Leave the headers alone of all photos of a shape; their names."""
    cut = []
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as opened:
            size = opened.size
        if size == shape[::-1]:
            path.write_bytes(path.read_bytes()[:60])
            cut.append(path.relative_to(folder).as_posix())
    return cut


@pytest.mark.parametrize("shape", [(24, 16), (20, 20)], ids=["one size", "the first size"])
def test_a_size_of_which_no_photo_can_be_read_is_left_out_and_its_photos_skipped(
    images: Images, codec: Codec, tmp_path: Path, shape: tuple[int, int]
) -> None:
    cut = _cut_short(tmp_path / "photos", shape)
    latents = encode_images(images, codec, tmp_path / "latents", progress=False)
    assert isinstance(latents, MixedLatents)
    assert len(latents.parts) == 2
    assert latents.images == 12 - len(cut)
    assert [name for name, _ in latents.manifest.skipped] == cut
    assert latents.size == latents.parts[0].size
    assert len(list((tmp_path / "latents").iterdir())) == 4  # two sizes, what was begun, the manifest
    encode_images(images, codec, tmp_path / "latents", resume=True, progress=False)  # which is done


def test_photos_none_of_which_can_be_read_are_refused_and_nothing_is_kept(
    images: Images, codec: Codec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for shape in ((24, 16), (16, 24), (20, 20)):
        _cut_short(tmp_path / "photos", shape)
    with pytest.raises(SmaltiError, match=f"{tmp_path / 'photos'}: not one of 12 images can be read"):
        encode_images(images, codec, tmp_path / "latents", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    assert capsys.readouterr().out == ""
