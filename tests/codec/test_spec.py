import pytest

from smalti.codec import CodecSpec
from smalti.errors import SmaltiError


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


@pytest.mark.parametrize(
    "text", ["RQ-8" + 1024 * "-8", "RQ-999999", "RQ-4104", "OPQ-" + 5_000 * "9", "RQ-8/" + 5_000 * "9"]
)
def test_a_spec_has_no_more_planes_and_bits_than_a_codec_can_have(text: str) -> None:
    with pytest.raises(SmaltiError):
        CodecSpec.parse(text)
    assert CodecSpec.parse("RQ-4096" + 1023 * "-8").planes == 1024
