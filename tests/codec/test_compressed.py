import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch

from smalti.codec import Codec, compress, decompress, read_compressed, write_compressed
from smalti.errors import SmaltiError


def test_a_compressed_photo_comes_back_as_the_codec_decodes_it(
    codec: Codec, photos: list[torch.Tensor], tmp_path: Path
) -> None:
    for photo in photos:
        size = (photo.shape[1], photo.shape[2])
        written = write_compressed(tmp_path / "photo.smalti", photo, codec)
        assert torch.equal(
            read_compressed(tmp_path / "photo.smalti", codec), codec.decode(codec.encode(photo[None]), size)[0]
        )
        rows, columns = codec.spec.grid(*size)
        assert written == (tmp_path / "photo.smalti").stat().st_size
        # The indices take no more than the spec says, and the line before them is short.
        assert written < rows * columns * sum(codec.spec.bits) / 8 + 200


@pytest.mark.parametrize("keep", [0, 3, 20, 500])
def test_a_file_cut_short_is_named(codec: Codec, photo: torch.Tensor, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "photo.smalti"
    write_compressed(path, photo, codec)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SmaltiError, match=r"photo\.smalti.*cut short"):
        read_compressed(path, codec)


def test_another_codec_a_foreign_file_and_a_missing_one_are_named(
    codec: Codec, photo: torch.Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "photo.smalti"
    write_compressed(path, photo, codec)
    other = Codec.fit([photo], "VQ-4@4-4@4-4@4/4", patches=500, progress=False)
    with pytest.raises(SmaltiError, match="another codec"):
        read_compressed(path, other)
    more_used = Codec.from_config(codec.config)
    more_used.load_state_dict(codec.state_dict())
    more_used.usage[0, 1] += 1  # the same codewords, and other frequencies to code their indices with
    with pytest.raises(SmaltiError, match="another codec"):
        read_compressed(path, more_used)
    deblocking = Codec.from_config(codec.config)
    deblocking.load_state_dict(codec.state_dict())
    deblocking.add_deblocker("linear")
    with pytest.raises(SmaltiError, match="another codec"):
        read_compressed(path, deblocking)
    path.write_text("text")
    with pytest.raises(SmaltiError, match="not a file"):
        read_compressed(path, codec)
    with pytest.raises(SmaltiError, match="cannot be read"):
        read_compressed(tmp_path / "absent", codec)


def test_frequent_codewords_take_fewer_bits(photo: torch.Tensor, tmp_path: Path) -> None:
    # A photo with a flat half: where the codec was fitted, one codeword was by far the most frequent.
    photo = photo[:, :296, :448].clone()
    photo[:, 64:] = 90
    codec = Codec.fit([photo], "VQ-8-8-8", patches=4_000, progress=False)
    written = write_compressed(tmp_path / "photo.smalti", photo, codec)
    assert written < 0.6 * 296 * 448 * codec.bits_per_pixel / 8
    assert torch.equal(read_compressed(tmp_path / "photo.smalti", codec), codec.decode(codec.encode(photo[None]))[0])


def test_a_codeword_that_was_never_seen_can_be_coded(codec: Codec, tmp_path: Path) -> None:
    noise = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    write_compressed(tmp_path / "noise.smalti", noise, codec)
    assert torch.equal(read_compressed(tmp_path / "noise.smalti", codec), codec.decode(codec.encode(noise[None]))[0])


@pytest.mark.parametrize(("what", "instead"), [(b'"size":[300', b'"size":[100'), (b"fingerprint", b"fingerprinT")])
def test_a_changed_header_is_noticed(
    codec: Codec, photo: torch.Tensor, tmp_path: Path, what: bytes, instead: bytes
) -> None:
    path = tmp_path / "photo.smalti"
    write_compressed(path, photo, codec)
    content = path.read_bytes()
    assert what in content
    path.write_bytes(content.replace(what, instead, 1))
    with pytest.raises(SmaltiError, match="damaged"):
        read_compressed(path, codec)


def test_a_changed_byte_is_noticed(codec: Codec, photo: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "photo.smalti"
    write_compressed(path, photo, codec)
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with pytest.raises(SmaltiError, match="damaged"):
        read_compressed(path, codec)


def _forged(path: Path, payload: bytes | None = None, **entries: Any) -> None:
    """A file with another header or other codes, whose checksum is right."""
    line, _, codes = path.read_bytes().removeprefix(b"smalti\n").partition(b"\n")
    header = json.loads(line.partition(b" ")[2]) | entries
    line = json.dumps({name: value for name, value in header.items() if value is not ...}).encode()
    codes = codes if payload is None else payload
    path.write_bytes(b"smalti\n" + f"{zlib.crc32(line + codes):08x} ".encode() + line + b"\n" + codes)


@pytest.mark.parametrize(
    "size",
    [[0, 0], [64], ["a", 3], None, ..., [-8, 8], [64.5, 64], [64, 64, 3], {"a": 1}, [True, 64], [10**9, 10**9]],
    ids=str,
)
def test_a_size_that_no_picture_has_is_refused(codec: Codec, photo: torch.Tensor, tmp_path: Path, size: Any) -> None:
    path = tmp_path / "a.smalti"
    write_compressed(path, photo, codec)
    _forged(path, size=size)
    with pytest.raises(SmaltiError, match=r"a\.smalti: does not say which picture it holds"):
        read_compressed(path, codec)


@pytest.mark.parametrize(
    "payload", [b"\xff" * 40_000, b"\xff" * 40_001, b"abc", b""], ids=["panics", "cut", "short", "none"]
)
def test_codes_that_the_coder_cannot_have_written_are_named(
    codec: Codec, photo: torch.Tensor, tmp_path: Path, payload: bytes
) -> None:
    path = tmp_path / "a.smalti"
    write_compressed(path, photo, codec)
    _forged(path, payload)
    with pytest.raises(SmaltiError, match=r"a\.smalti: holds other codes than its size says"):
        read_compressed(path, codec)


def test_a_header_nested_too_deep_is_named(codec: Codec, tmp_path: Path) -> None:
    (tmp_path / "a.smalti").write_bytes(b"smalti\n00000000 " + b"[" * 100_000 + b"\n")
    with pytest.raises(SmaltiError, match="not a file that `smalti compress` wrote"):
        read_compressed(tmp_path / "a.smalti", codec)


def test_bytes_are_what_a_file_holds_and_come_back_as_the_photo(
    codec: Codec, photo: torch.Tensor, tmp_path: Path
) -> None:
    content = compress(photo, codec)
    write_compressed(tmp_path / "photo.smalti", photo, codec)
    assert (tmp_path / "photo.smalti").read_bytes() == content
    assert torch.equal(decompress(content, codec), read_compressed(tmp_path / "photo.smalti", codec))
    with pytest.raises(SmaltiError, match="the content: cut short"):
        decompress(content[:-4], codec)
    with pytest.raises(SmaltiError, match="the content: was not compressed with a codec of this package"):
        decompress(content)


def test_bytes_of_a_codec_of_the_package_need_none(photo: torch.Tensor) -> None:
    codec, crop = Codec.from_pretrained("photo-low"), photo[:, :40, :50]
    assert torch.equal(decompress(compress(crop, codec)), codec.decode(codec.encode(crop[None]), (40, 50))[0])
