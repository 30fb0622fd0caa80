import itertools

import pytest
import torch

from smalti.codec import Codec
from smalti.codec.closed_loop import choose_again
from smalti.metrics import psnr


@pytest.fixture(scope="module")
def linear(photos: list[torch.Tensor]) -> Codec:
    return Codec.fit(photos, "RQ-12@6-5@5-4@4/4", patches=20_000, deblock="linear", progress=False)


def test_each_round_brings_the_decoded_photo_nearer(linear: Codec, photo: torch.Tensor) -> None:
    size = (photo.shape[1], photo.shape[2])
    reached = [psnr(photo, linear.decode(linear.encode(photo[None], rounds=n), size)[0]) for n in (0, 1, 3)]
    assert reached[1] > reached[0] + 0.05
    assert reached[2] >= reached[1]


def test_no_photo_ever_comes_out_worse(linear: Codec, photo: torch.Tensor) -> None:
    crops = photo[:, :288, :448].unfold(1, 32, 32).unfold(2, 32, 32).flatten(1, 2).transpose(0, 1)
    errors = [
        (linear.decode_float(linear.encode(crops, rounds=n)).clamp(0, 255) - crops).square().mean((1, 2, 3))
        for n in range(4)
    ]
    for before, after in itertools.pairwise(errors):
        assert (after <= 1.001 * before).all()


def test_without_a_deblocker_the_codes_are_the_best_already(codec: Codec, photo: torch.Tensor) -> None:
    x = photo[None, :, :40, :48]
    z = codec.encode(x)
    assert torch.equal(codec.encode(x, rounds=2), z)
    assert torch.equal(choose_again(codec, x.float(), z, 2), z)


def test_it_does_not_depend_on_the_batch(linear: Codec, photos: list[torch.Tensor]) -> None:
    batch = torch.stack([photo[:, :96, :90] for photo in photos])
    alone = torch.cat([linear.encode(image[None], rounds=2) for image in batch])
    assert torch.equal(linear.encode(batch, rounds=2), alone)
