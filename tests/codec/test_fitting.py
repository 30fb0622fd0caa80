import pytest
import torch

from smalti.codec.codec import Codec
from smalti.codec.fitting import fit_tables
from smalti.codec.ordering import ordinal_order
from smalti.codec.spec import CodecSpec
from smalti.errors import SmaltiError
from smalti.pixels import RGB

SPEC = CodecSpec.parse("OPQ-12@6-5@5-4@4/4")


def test_a_codebook_a_channel_is_fitted_and_sorted_and_its_use_counted(photos: list[torch.Tensor]) -> None:
    fitted = fit_tables(photos, SPEC, RGB, patches=2_000, beam=8, seed=0, progress=False)
    assert [len(codebook) for codebook in fitted.codebooks] == list(SPEC.codewords)
    assert [len(used) for used in fitted.usage] == list(SPEC.codewords)
    assert all(used.sum() == 2_000 for used in fitted.usage)
    for codebook in fitted.codebooks:
        assert torch.equal(ordinal_order(codebook), torch.arange(len(codebook)))
    total = sum(rows * columns for rows, columns in (SPEC.grid(*photo.shape[1:]) for photo in photos))
    assert fitted.share == pytest.approx(2_000 / total)


def test_a_codec_holds_what_was_fitted(codec: Codec, photos: list[torch.Tensor]) -> None:
    fitted = fit_tables(photos, codec.spec, RGB, patches=4_000, beam=8, seed=0, progress=False)
    for channel, (codebook, used) in enumerate(zip(fitted.codebooks, fitted.usage, strict=True)):
        assert torch.equal(codec.codebooks[channel, : len(codebook)], codebook)
        assert torch.equal(codec.usage[channel, : len(used)], used)
        assert not codec.usage[channel, len(used) :].any()
    assert torch.equal(codec.rotations, fitted.rotations)


def test_fewer_patches_than_codewords_are_refused(photos: list[torch.Tensor]) -> None:
    with pytest.raises(SmaltiError, match=r"63 of the .* patches .* fewer than the 64 codewords"):
        fit_tables(photos, SPEC, RGB, patches=63, beam=8, seed=0, progress=False)
