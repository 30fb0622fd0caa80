from collections import Counter

import pytest
import torch

from smalti.codec.patch_sample import sample_patches
from smalti.errors import SmaltiError
from smalti.pixels import GREY

SIDE = 2


def _numbered(count: int, patches: int) -> list[torch.Tensor]:
    """Images of `patches` 2x2 patches, every pixel of image i having the value i."""
    return [torch.full((1, 2, 2 * patches), number, dtype=torch.uint8) for number in range(count)]


def test_every_patch_has_the_same_chance_whatever_the_size_of_its_image() -> None:
    images = [*_numbered(1, 100), torch.full((1, 2, 2 * 900), 1, dtype=torch.uint8)]
    drawn = Counter(
        int(value) for seed in range(200) for value in sample_patches(images, GREY, SIDE, 10, seed, False)[0][0, :, 0]
    )
    # 2,000 draws with p = 0.1: standard deviation 13.4.
    assert drawn[0] == pytest.approx(200, abs=5 * 13.4)


def test_a_small_source_is_taken_whole_and_each_patch_once() -> None:
    sample, _ = sample_patches(_numbered(5, 4), GREY, SIDE, 1000, 0, False)
    assert sample.shape == (1, 20, 4)
    assert Counter(sample[0, :, 0].tolist()) == dict.fromkeys(range(5), 4)


def test_no_more_than_twice_the_sample_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[int] = []
    join = torch.cat
    monkeypatch.setattr(
        torch, "cat", lambda parts, dim: joined.append(sum(p.shape[1] for p in parts)) or join(parts, dim)
    )
    sample, _ = sample_patches(_numbered(100, 100), GREY, SIDE, 100, 0, False)
    assert len(joined) > 2
    assert max(joined) <= 2 * 100 + 100  # an image's patches are looked at whole
    assert sample.shape[1] == 100
    assert len(set(sample[0, :, 0].tolist())) > 40


def test_the_same_seed_draws_the_same_patches() -> None:
    images = _numbered(20, 50)
    one, two, other = (sample_patches(iter(images), GREY, SIDE, 64, seed, False)[0] for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([], "no images"),
        ([torch.zeros(1, 4, 4)], "uint8"),
        ([torch.zeros(4, 4, dtype=torch.uint8)], r"shape \(4, 4\)"),
        ([torch.zeros(3, 4, 4, dtype=torch.uint8)], "3 planes"),
    ],
)
def test_what_is_no_image_of_the_format_is_refused(images: list[torch.Tensor], says: str) -> None:
    with pytest.raises(SmaltiError, match=says):
        sample_patches(images, GREY, SIDE, 10, 0, False)
