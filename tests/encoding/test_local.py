import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images, local, shards
from smalti.errors import SmaltiError

Same = Callable[[Path, Path], bool]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_LEAST_IMAGES", 4)


def test_latents_do_not_depend_on_who_makes_them(
    photo_folder: Path, codec: Codec, tmp_path: Path, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_images(photo_folder, size=16)
    alone = encode_images(images, codec, tmp_path / "alone", workers=1, progress=False)
    here = encode_images(images, codec, tmp_path / "here", progress=False)
    monkeypatch.setattr(local, "_WORTH_SECONDS", 0.0)  # so that the first shard is made here, and the others not
    monkeypatch.setattr(local, "cores", lambda: 2)
    several = encode_images(images, codec, tmp_path / "several", progress=False)
    assert same(alone.folder, here.folder)
    assert same(alone.folder, several.folder)
    assert alone.manifest == here.manifest == several.manifest


@pytest.mark.soak
def test_what_goes_wrong_in_a_worker_is_told(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    images = open_images(photo_folder, size=16)
    wrong = Codec.fit(open_images(photo_folder, mode="L"), "RQ-4@4/4", patches=500, progress=False)
    with pytest.raises(SmaltiError, match="the image"):
        encode_images(images, wrong, tmp_path / "latents", workers=2, progress=False)
    images._listing = replace(images._listing, read=_Ends(images._listing.read))
    with pytest.raises(SmaltiError, match="ended from outside"):
        encode_images(images, codec, tmp_path / "latents", workers=2, progress=False)


class _Ends:
    """Ends the process that reads, unless it is the one that this was made in."""

    def __init__(self, read: Callable[[int], bytes]):
        self.read = read
        self.spared = os.getpid()

    def __call__(self, number: int) -> bytes:
        if os.getpid() != self.spared:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.read(number)


cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
