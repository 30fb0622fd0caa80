import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smalti.codec.layout import CodecSpec, from_patches, pad_to_patches, to_channels, to_patches, to_planes
from smalti.files import SmaltiError


@pytest.mark.parametrize(
    ("text", "canonical", "codewords", "bits_per_pixel", "ratio"),
    [
        ("VQ-8-8-8", "VQ-8-8-8", (256,) * 3, 24 / 64, 64),
        ("OPQ-{32-8-8}", "OPQ-32-8-8", (256,) * 6, 48 / 64, 32),
        ("pq-32-8-8/4", "PQ-32-8-8/4", (256,) * 6, 3, 8),
        ("RQ-16", "RQ-16", (256,) * 2, 16 / 64, 32),
        ("VQ-10@10-8-8", "VQ-10@10-8-8", (1024, 256, 256), 26 / 64, 24 * 64 / 26),
        ("RQ-24@12-4@4-8@8/8", "RQ-24@12-4@4-8", (4096, 4096, 16, 256), 36 / 64, 24 * 64 / 36),
        ("VQ-8-8", "VQ-8-8", (256,) * 2, 16 / 64, 64),
    ],
)
def test_a_spec_says_what_a_patch_costs(
    text: str, canonical: str, codewords: tuple[int, ...], bits_per_pixel: float, ratio: float
) -> None:
    spec = CodecSpec.parse(text)
    assert str(spec) == canonical
    assert CodecSpec.parse(canonical) == spec
    assert spec.codewords == codewords
    assert spec.bits_per_pixel == pytest.approx(bits_per_pixel)
    assert spec.compression_ratio == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("JPEG-8", "is not a codec"),
        ("VQ", "is not a codec"),
        ("VQ-", "is not a codec"),
        ("VQ-{8-8-8", "is not a codec"),
        ("VQ-8-8-8/", "is not a codec"),
        ("VQ--8", "is not a codec"),
        ("VQ-8.5", "is not a codec"),
        ("VQ-0", "0 bits"),
        ("PQ-12-8-8", "12@12"),
        ("VQ-16-8-8", "take PQ, OPQ, RQ or LSQ"),
        ("VQ-8@3", "out of range"),
        ("VQ-13@13", "out of range"),
        ("VQ-8/0", "out of range"),
        ("VQ-8/65", "out of range"),
        ("PQ-24-8-8", "1, 2, 4, 8, 16"),
        ("OPQ-24/5", "1, 5, 25"),
    ],
)
def test_a_wrong_spec_is_named_and_told_how_to_mend(text: str, says: str) -> None:
    with pytest.raises(SmaltiError, match=says) as caught:
        CodecSpec.parse(text)
    assert text in str(caught.value)


def test_rq_needs_no_divisor() -> None:
    assert CodecSpec.parse("RQ-24").stages == (3,)


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40), st.integers(1, 4))
def test_patches_of_any_image_come_back_and_padding_repeats_the_edge(patch: int, h: int, w: int, planes: int) -> None:
    x = torch.randint(0, 256, (2, planes, h, w), dtype=torch.uint8)
    padded = pad_to_patches(x, patch)
    rows, columns = padded.shape[2] // patch, padded.shape[3] // patch
    assert (rows, columns) == CodecSpec.parse(f"RQ-8/{patch}").grid(h, w)
    assert torch.equal(padded[..., :h, :w], x)
    assert (padded[..., h:, :w] == x[..., -1:, :]).all()
    assert (padded[..., :h, w:] == x[..., -1:]).all()
    patches = to_patches(padded.float(), patch)
    assert patches.shape == (planes, 2 * rows * columns, patch * patch)
    assert torch.equal(from_patches(patches, (rows, columns), patch), padded.float())


def test_colour_is_that_of_jpeg() -> None:
    # ITU-T T.871: Y = 0.299 R + 0.587 G + 0.114 B, Cb - 128 = (B - Y) / 1.772, Cr - 128 = (R - Y) / 1.402.
    x = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    red, green, blue = x[0].double()
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = torch.stack([luma - 128, (blue - luma) / 1.772, (red - luma) / 1.402])
    torch.testing.assert_close(to_planes(x)[0].double(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_planes_turn_back_into_the_same_bytes(planes: int) -> None:
    x = torch.randint(0, 256, (2, planes, 16, 16), dtype=torch.uint8)
    assert torch.equal(to_channels(to_planes(x)).round().to(torch.uint8), x)
