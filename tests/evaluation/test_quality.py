import numpy as np
import pytest
import torch

from smalti.codec import Codec
from smalti.evaluation import CodecQuality, codec_quality
from smalti.metrics import psnr


def test_the_quality_of_a_codec_is_the_mean_over_photos(codec: Codec, photos: list[torch.Tensor]) -> None:
    found = codec_quality(photos, codec)
    decoded = [codec.decode(codec.encode(x[None]), (x.shape[1], x.shape[2]))[0] for x in photos]
    assert found.psnr == pytest.approx(np.mean([psnr(x, y) for x, y in zip(photos, decoded, strict=True)]))
    assert found.images == 3
    assert f"{found.psnr:.2f} dB" in str(found)


def test_the_better_a_codec_the_better_what_is_said_of_it() -> None:
    told = [CodecQuality(psnr=psnr, ssim=0.9, images=1, rows=[]).verdict for psnr in (20.0, 27.0, 32.0, 40.0)]
    assert len(set(told)) == 4
    assert told[-1] == CodecQuality(psnr=float("inf"), ssim=1.0, images=1, rows=[]).verdict


def test_a_tiny_photo_has_no_part_in_the_mean_ssim(codec: Codec, photos: list[torch.Tensor]) -> None:
    tiny = photos[0][:, :5, :6].contiguous()
    found = codec_quality([tiny, *photos], codec)
    assert found.images == 4
    assert found.ssim == pytest.approx(codec_quality(photos, codec).ssim)
