import pytest
import torch

from smalti.codec import Codec
from smalti.errors import SmaltiError
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


def test_the_codec_stays_where_it_is_until_the_network_is_trained(
    codec: Codec, photos: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever device it is trained on, that is a copy; a training that fails leaves the codec as it was."""
    moved = []
    monkeypatch.setattr(Codec, "to", lambda self, *where, **how: moved.append(self) or self)
    settings = DeblockerSettings(network_width=16, network_blocks=1, crops=16, crop_side=48, crops_a_step=8)
    own = Codec.from_config(codec.config)
    own.load_state_dict(codec.state_dict())

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as failing:
        failing.setattr("smalti.training.deblocker.train", fail)
        with pytest.raises(KeyboardInterrupt):
            train_deblocker(own, photos, settings, device="cpu", progress=False)
    assert own.config["deblock"] == "none"
    train_deblocker(own, photos, settings, device="cpu", progress=False)
    assert own.config["deblock"] == "convolutional"
    assert moved
    assert all(each is not own for each in moved)
