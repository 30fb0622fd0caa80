import inspect
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from smalti.codec import Codec
from smalti.files import SmaltiError
from smalti.metrics import psnr

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize("spec", ["VQ-6@6-4@4-4@4/4", "PQ-12@6-4@4-4@4/4", "OPQ-24@6-6@6-6@6", "RQ-12@6-6@6-6@6/4"])
def test_a_photo_comes_back_recognisably_at_its_own_size(photos: list[torch.Tensor], spec: str) -> None:
    codec = Codec.fit(photos, spec, patches=4_000, progress=False)
    for photo in photos:
        z = codec.encode(photo[None])
        decoded = codec.decode(z, (photo.shape[1], photo.shape[2]))[0]
        assert z.shape[2:] == codec.spec.grid(photo.shape[1], photo.shape[2])
        assert decoded.shape == photo.shape
        assert psnr(photo, decoded) > 20


@pytest.mark.parametrize(("spec", "planes"), [("RQ-12@6/4", 1), ("PQ-8@4-4@4/4", 2), ("VQ-4@4-4@4-4@4-4@4/4", 4)])
def test_any_number_of_planes_is_coded(spec: str, planes: int) -> None:
    images = torch.randint(0, 256, (4, planes, 24, 24), dtype=torch.uint8)
    codec = Codec.fit(images, spec, progress=False)
    assert codec.decode(codec.encode(images)).shape == images.shape


def test_images_made_of_codewords_come_back_exactly() -> None:
    # 16 flat patches and 16 codewords, which are the patches themselves: nothing is lost.
    levels = torch.arange(16, dtype=torch.uint8) * 17
    image = levels[torch.randperm(16)].reshape(1, 4, 4).repeat_interleave(4, 1).repeat_interleave(4, 2)
    codec = Codec.fit([image], "VQ-4@4/4", progress=False)
    z = codec.encode(image[None])
    assert torch.equal(codec.decode(z)[0], image)
    # Sorted, darkest first: the index is the level.
    assert torch.equal(z[0, 0], image[0, ::4, ::4].long() // 17)


def test_one_codeword_fits_where_all_patches_are_the_same() -> None:
    image = torch.full((1, 16, 16), 77, dtype=torch.uint8)
    codec = Codec.fit([image], "RQ-8@4/4", progress=False)
    assert torch.equal(codec.decode(codec.encode(image[None]))[0], image)


def test_the_same_seed_gives_the_same_codec(photos: list[torch.Tensor]) -> None:
    prints = [
        Codec.fit(photos, "PQ-12@6-4@4-4@4/4", patches=1_000, seed=seed, progress=False).fingerprint
        for seed in (0, 0, 1)
    ]
    assert prints[0] == prints[1] != prints[2]


def test_encoding_does_not_depend_on_the_batch(codec: Codec, photos: list[torch.Tensor]) -> None:
    batch = torch.stack([photo[:, :100, :90] for photo in photos])
    assert torch.equal(codec.encode(batch), torch.cat([codec.encode(image[None]) for image in batch]))


def test_soft_decoding_of_one_hot_distributions_is_decoding(codec: Codec, photo: torch.Tensor) -> None:
    size = (photo.shape[1], photo.shape[2])
    z = codec.encode(photo[None])
    p = torch.nn.functional.one_hot(z, codec.codebooks.shape[1]).permute(0, 1, 4, 2, 3).float()
    soft = codec.decode_soft(p, size)
    assert soft.min() >= 0
    assert soft.max() <= 255
    assert (soft - codec.decode(z, size)).abs().max() <= 0.5 + 1e-3


def test_soft_decoding_is_linear_and_passes_gradients_to_every_codeword(codec: Codec) -> None:
    logits = torch.randn(1, len(codec.spec.codewords), codec.codebooks.shape[1], 2, 2, requires_grad=True)
    p = logits.masked_fill(~codec.valid[None, :, :, None, None], -torch.inf).softmax(2)
    codec.decode_soft(p).square().mean().backward()
    assert logits.grad is not None
    valid = codec.valid[None, :, :, None, None].expand_as(logits)
    assert (logits.grad[valid] != 0).float().mean() > 0.99
    assert not logits.grad[~valid].any()


def test_weight_on_padding_counts_nothing(codec: Codec) -> None:
    p = torch.rand(1, len(codec.spec.codewords), codec.codebooks.shape[1], 2, 2)
    cleaned = p * codec.valid[None, :, :, None, None]
    torch.testing.assert_close(codec.decode_soft(p), codec.decode_soft(cleaned))


@pytest.mark.parametrize("channel", [0, 3])
def test_an_index_without_a_codeword_is_refused(codec: Codec, channel: int) -> None:
    z = torch.zeros(1, len(codec.spec.codewords), 2, 2, dtype=torch.int64)
    z[0, channel, 0, 0] = codec.spec.codewords[channel]
    with pytest.raises(SmaltiError, match="no codeword"):
        codec.decode(z)


def test_what_does_not_fit_the_codec_is_refused(codec: Codec) -> None:
    with pytest.raises(SmaltiError, match="1 planes"):
        codec.encode(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(SmaltiError, match="channels"):
        codec.decode(torch.zeros(1, 1, 2, 2, dtype=torch.int64))
    with pytest.raises(SmaltiError, match="9x8"):
        codec.decode(torch.zeros(1, len(codec.spec.codewords), 2, 2, dtype=torch.int64), (9, 8))
    with pytest.raises(SmaltiError, match="7 codewords"):
        codec.decode_soft(torch.zeros(1, len(codec.spec.codewords), 7, 2, 2))


def test_fewer_patches_than_codewords_are_refused() -> None:
    images = [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)] * 10
    with pytest.raises(SmaltiError, match=r"160 patches.*256 codewords"):
        Codec.fit(images, "VQ-8-8-8", progress=False)


def test_a_saved_codec_comes_back_equal(codec: Codec, photo: torch.Tensor, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path / "codec")
    loaded = Codec.from_pretrained(tmp_path / "codec")
    assert loaded.fingerprint == codec.fingerprint
    assert loaded.beam == codec.beam
    assert torch.equal(loaded.encode(photo[None]), codec.encode(photo[None]))


def test_codewords_stay_float32_whatever_the_pipeline_is_cast_to(codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path / "codec")
    for loaded in (
        Codec.from_pretrained(tmp_path / "codec", torch_dtype=torch.bfloat16),
        Codec.from_pretrained(tmp_path / "codec").to(torch.bfloat16),
        Codec.from_pretrained(tmp_path / "codec").half(),
    ):
        assert loaded.fingerprint == codec.fingerprint


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
@pytest.mark.parametrize("damage", ["remove", "truncate", "empty"])
def test_a_damaged_codec_folder_is_named(codec: Codec, tmp_path: Path, name: str, damage: str) -> None:
    codec.save_pretrained(tmp_path / "codec")
    path = tmp_path / "codec" / name
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else path.stat().st_size // 2])
    with pytest.raises(SmaltiError, match=str(tmp_path / "codec")) as caught:
        Codec.from_pretrained(tmp_path / "codec")
    assert "\n" not in str(caught.value)


def test_codebooks_of_another_shape_are_refused(codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path / "codec")
    tensors = load_file(tmp_path / "codec" / WEIGHTS)
    save_file({"codebooks": tensors["codebooks"][:, :4].contiguous()}, tmp_path / "codec" / WEIGHTS, {"format": "pt"})
    with pytest.raises(SmaltiError, match="damaged"):
        Codec.from_pretrained(tmp_path / "codec")


@pytest.mark.parametrize(
    ("change", "says"),
    [({"format_version": 99}, "update smalti"), ({"colour": "lab"}, "colour"), ({"_class_name": "UNet"}, "UNet")],
)
def test_a_configuration_that_this_version_cannot_honour_is_refused(
    codec: Codec, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    codec.save_pretrained(tmp_path / "codec")
    path = tmp_path / "codec" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SmaltiError, match=says):
        Codec.from_pretrained(tmp_path / "codec")
    shutil.rmtree(tmp_path / "codec")
    with pytest.raises(SmaltiError, match="no such folder"):
        Codec.from_pretrained(tmp_path / "codec")


@pytest.mark.parametrize("wrong", [torch.rand(1, 3, 16, 16), torch.zeros(3, 16, 16, dtype=torch.uint8)])
def test_what_are_no_pictures_is_refused(codec: Codec, wrong: torch.Tensor) -> None:
    encode = inspect.unwrap(Codec.encode)  # outside of tests nothing checks types and shapes before it does
    with pytest.raises(SmaltiError, match="uint8"):
        encode(codec, wrong)
