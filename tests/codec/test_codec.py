import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from smalti.codec import Codec, read_compressed, write_compressed
from smalti.errors import SmaltiError
from smalti.metrics import psnr
from smalti.pixels import RGB, PixelFormat, to_image

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
    (tmp_path / "codec" / "digests.json").unlink()
    with pytest.raises(SmaltiError, match=says):
        Codec.from_pretrained(tmp_path / "codec")
    shutil.rmtree(tmp_path / "codec")
    with pytest.raises(SmaltiError, match="no such folder"):
        Codec.from_pretrained(tmp_path / "codec")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (torch.rand(1, 3, 16, 16), "uint8"),
        (torch.zeros(3, 16, 16, dtype=torch.uint8), r"x\[None\]"),
        (np.zeros((16, 16, 3), dtype=np.uint8), "a ndarray is no batch of images.*torch.from_numpy"),
        (Image.new("RGB", (16, 16)), "an? Image is no batch of images.*torch.from_numpy"),
    ],
    ids=["floats", "one image", "an array", "a picture"],
)
def test_what_are_no_pictures_is_refused(codec: Codec, wrong: Any, says: str) -> None:
    encode = inspect.unwrap(Codec.encode)  # outside of tests nothing checks types and shapes before it does
    with pytest.raises(SmaltiError, match=says):
        encode(codec, wrong)


def test_a_picture_is_made_into_a_batch_as_the_error_says(codec: Codec, photo: torch.Tensor) -> None:
    picture = to_image(photo)
    batch = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    assert torch.equal(codec.encode(batch), codec.encode(photo[None]))


@pytest.fixture(scope="module")
def bands(photo: torch.Tensor) -> torch.Tensor:
    """Two images of 13 bands as satellites take them: int32 (2, 13, 64, 64), from 0 to 65535."""
    cuts = torch.stack([photo[:, :64, :64], photo[:, 100:164, 200:264]]).float()
    mixed = torch.rand(13, 3, generator=torch.Generator().manual_seed(0))
    seen = torch.einsum("bc,nchw->nbhw", mixed / mixed.sum(1, keepdim=True), cuts)
    return ((seen - seen.amin()) / (seen.amax() - seen.amin()) * 65535).round().int()


@pytest.fixture(scope="module")
def deep(bands: torch.Tensor) -> Codec:
    form = PixelFormat(planes=13, highest=2**16 - 1)
    return Codec.fit(bands, "PQ" + "-12@6" * 13 + "/4", pixel_format=form, progress=False)


def test_bands_of_16_bits_are_coded_saved_and_compressed(deep: Codec, bands: torch.Tensor, tmp_path: Path) -> None:
    z = deep.encode(bands)
    decoded = deep.decode(z)
    assert z.shape == (2, 26, 16, 16)
    assert decoded.dtype == torch.int32
    assert 0 <= decoded.min() < 10_000
    assert 50_000 < decoded.max() <= 65535
    assert psnr(bands, decoded, peak=65535) > 20

    deep.save_pretrained(tmp_path / "codec")
    loaded = Codec.from_pretrained(tmp_path / "codec")
    assert loaded.pixel_format == deep.pixel_format == PixelFormat(planes=13, highest=65535)
    assert loaded.fingerprint == deep.fingerprint
    assert torch.equal(loaded.decode(loaded.encode(bands)), decoded)

    cropped = bands[0, :, :30, :45].contiguous()  # sides that are padded on the way
    write_compressed(tmp_path / "bands.smalti", cropped, deep)
    expected = deep.decode(deep.encode(cropped[None]), (30, 45))[0]
    assert torch.equal(read_compressed(tmp_path / "bands.smalti", loaded), expected)


def test_distributions_over_codewords_of_bands_decode_to_grey_levels(deep: Codec, bands: torch.Tensor) -> None:
    z = deep.encode(bands)
    p = torch.nn.functional.one_hot(z, deep.codebooks.shape[1]).permute(0, 1, 4, 2, 3).float()
    soft = deep.decode_soft(p)
    assert soft.min() >= 0
    assert soft.max() <= 255
    assert torch.equal(deep.pixel_format.pixels(soft), deep.decode(z))


def test_pixels_of_another_format_than_the_codecs_are_refused(deep: Codec, bands: torch.Tensor) -> None:
    with pytest.raises(SmaltiError, match=r"torch\.int32"):
        deep.encode((bands // 256).to(torch.uint8))
    with pytest.raises(SmaltiError, match="12 planes"):
        deep.encode(bands[:, :12])
    with pytest.raises(SmaltiError, match=r"image 0 is torch\.int32"):
        Codec.fit(bands, "PQ" + "-12@6" * 13 + "/4", progress=False)
    with pytest.raises(SmaltiError, match="is for 13 planes, pixels are 3 planes of RGB"):
        Codec.fit(bands, "PQ" + "-12@6" * 13 + "/4", pixel_format=RGB, progress=False)


def test_three_bands_that_are_no_colours_are_coded_one_by_one() -> None:
    # Two bands that are flat and one that is not: as colours all three planes would take their part in it.
    image = torch.full((3, 32, 32), 90, dtype=torch.uint8)
    image[1] = torch.randint(0, 256, (32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    codec = Codec.fit([image], "VQ-4@4-4@4-4@4/4", pixel_format=PixelFormat(planes=3), progress=False)
    decoded = codec.decode(codec.encode(image[None]))[0]
    assert torch.equal(decoded[[0, 2]], image[[0, 2]])
    assert not torch.equal(decoded[1], image[1])


def test_the_fingerprint_tells_pixels_apart_and_is_what_it_was_for_the_usual_ones(codec: Codec) -> None:
    def of(**form: object) -> str:
        other = Codec(str(codec.spec), pixel_format=form or None)
        other.codebooks.copy_(codec.codebooks)
        return other.fingerprint

    assert of() == of(planes=3, colour="RGB") == codec.fingerprint
    assert len({of(), of(planes=3), of(planes=3, highest=65535), of(planes=3, lowest=-255)}) == 4
