import pytest
import torch

from smalti.codec import Codec
from smalti.files import SmaltiError
from smalti.metrics import psnr
from smalti.training import DeblockerSettings, train_deblocker

SMALL = DeblockerSettings(network_width=16, network_blocks=1, crops=1_600, crop_side=48, crops_a_step=8)


def test_a_trained_deblocker_brings_other_photos_nearer(photos: list[torch.Tensor], tmp_path) -> None:
    codec = Codec.fit(photos[1:], "PQ-12@6-5@5-4@4/4", patches=10_000, progress=False)
    photo = photos[0]
    z, size = codec.encode(photo[None]), (photo.shape[1], photo.shape[2])
    before = codec.decode(z, size)[0]
    same = train_deblocker(codec, photos[1:], SMALL, out=tmp_path, device="cpu", progress=False)
    assert same is codec
    assert torch.equal(codec.encode(photo[None]), z)
    assert psnr(photo, codec.decode(z, size)[0]) > psnr(photo, before) + 0.3
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 20
    codec.save_pretrained(tmp_path / "codec")
    loaded = Codec.from_pretrained(tmp_path / "codec")
    assert torch.equal(loaded.decode(z, size), codec.decode(z, size))


def test_photos_that_do_not_fit_are_refused(codec: Codec) -> None:
    with pytest.raises(SmaltiError, match="crop of 48"):
        train_deblocker(codec, [torch.zeros(3, 40, 80, dtype=torch.uint8)], SMALL, progress=False)
    with pytest.raises(SmaltiError, match="1 planes"):
        train_deblocker(codec, [torch.zeros(1, 80, 80, dtype=torch.uint8)], SMALL, progress=False)
    with pytest.raises(SmaltiError, match="crops is 0"):
        DeblockerSettings(crops=0)
