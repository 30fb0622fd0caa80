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
from smalti.files import read_json, unfinished, write_record
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
        with pytest.raises(Ended):
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
