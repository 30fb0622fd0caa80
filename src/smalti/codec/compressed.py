"""A compressed photo as one file: a checksum and a JSON line that says how to read it, then the indices, range-coded.

Each channel is coded with the frequencies that its codewords had where the codec was fitted: rare ones take more bits
than common ones, and the whole takes less than the spec says, by about a tenth for a VQ of 8 bits.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import constriction
import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from smalti.codec.bundled import bundled_with
from smalti.codec.codec import Codec
from smalti.errors import SmaltiError
from smalti.files import fingerprint, write_whole
from smalti.pixels import MOST_PIXELS

SUFFIX = ".smalti"
FORMAT_VERSION = 2

_MAGIC = b"smalti\n"
_MOST_BYTES = 2**31
_ROUNDED = 0.99, 256  # bits of codes, as a share and as such: frequencies are rounded, the last word is filled


def compress(pixels: Integer[Tensor, "C H W"], codec: Codec, *, rounds: int = 0) -> bytes:
    """One image as what a `.smalti` file holds; `rounds` as in `Codec.encode`.

    Raises:
        SmaltiError: the image has another number of planes than the codec.
    """
    payload = _pack(codec.encode(pixels[None].to(codec.codebooks.device), rounds=rounds)[0], codec)
    header = {
        "format_version": FORMAT_VERSION,
        "codec": str(codec.spec),
        "codec_fingerprint": codec.fingerprint,
        "decoding": _decoding(codec),
        "size": pixels.shape[1:],
    }
    line = json.dumps(header, separators=(",", ":")).encode()
    check = f"{zlib.crc32(line + payload):08x}".encode()
    return b"".join([_MAGIC, check, b" ", line, b"\n", payload])


def decompress(content: bytes, codec: Codec | None = None, *, name: str = "the content") -> Integer[Tensor, "C H W"]:
    """The image that `compress` was given, with the same codec; without one, that of the package which was taken.

    Errors call the content by a `name`.

    Raises:
        SmaltiError: not what `compress` makes, cut short, or made with another codec, or with none of the package.
    """
    header, payload = _parsed(content, name)
    if codec is None:
        bundled = bundled_with(header["codec_fingerprint"])
        if bundled is None:
            raise SmaltiError(f"{name}: was not compressed with a codec of this package; give the one that did.")
        codec = Codec.from_pretrained(bundled)
    if (header["codec_fingerprint"], header["decoding"]) != (codec.fingerprint, _decoding(codec)):
        raise SmaltiError(f"{name}: was compressed with another codec ({header['codec']}); give the one that made it.")
    height, width = header["size"]
    rows, columns = codec.spec.grid(height, width)
    if 8 * len(payload) < _ROUNDED[0] * rows * columns * _least_bits(codec) - _ROUNDED[1]:  # before memory is taken
        raise SmaltiError(f"{name}: holds other codes than its size says; compress the photo again.")
    try:
        z = _unpack(payload, codec, (rows, columns))
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # the coder panics, which is no Exception, at what it cannot have written
        raise SmaltiError(f"{name}: holds other codes than its size says; compress the photo again.") from error
    return codec.decode(z[None].to(codec.codebooks.device), (height, width))[0].cpu()


def write_compressed(path: Path, pixels: Integer[Tensor, "C H W"], codec: Codec, *, rounds: int = 0) -> int:
    """Compress one image into a file, as `compress` does; return the bytes written.

    Raises:
        SmaltiError: as there.
    """
    content = compress(pixels, codec, rounds=rounds)
    write_whole(path, content)
    return len(content)


def read_compressed(path: Path, codec: Codec | None = None) -> Integer[Tensor, "C H W"]:
    """The image of a file that `write_compressed` wrote, as `decompress` has it.

    Raises:
        SmaltiError: as there, or there is no such file.
    """
    return decompress(_content(path), codec, name=str(path))


def made_with(path: Path) -> str:
    """The fingerprint of the codec that compressed a file.

    Raises:
        SmaltiError: no such file, not one of ours, or cut short.
    """
    return _parsed(_content(path), str(path))[0]["codec_fingerprint"]


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SmaltiError(
                f"{path}: has more bytes than any picture takes; name a file that `smalti compress` wrote."
            )
        return path.read_bytes()
    except OSError as error:
        raise SmaltiError(
            f"{path}: cannot be read ({error.strerror}); name a file that `smalti compress` wrote."
        ) from None


def _parsed(content: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    line, _, payload = content.removeprefix(_MAGIC).partition(b"\n")
    check, _, line = line.partition(b" ")
    try:
        header: dict[str, Any] = json.loads(line) if content.startswith(_MAGIC) else {}
        version = header["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SmaltiError(f"{name}: not a file that `smalti compress` wrote, or cut short; name another.") from None
    if version != FORMAT_VERSION:
        raise SmaltiError(f"{name}: has format {version}, and this version reads {FORMAT_VERSION}; use the other one.")
    if check != f"{zlib.crc32(line + payload):08x}".encode():
        raise SmaltiError(f"{name}: cut short or damaged; compress the photo again.")
    if not _is_whole(header):
        raise SmaltiError(f"{name}: does not say which picture it holds, in the form that is read; compress it again.")
    return header, payload


def _is_whole(header: dict[str, Any]) -> bool:
    """Whether all that is needed is there, of its type, and of a size that pictures have."""
    words, size = (header.get(name) for name in ("codec", "codec_fingerprint", "decoding")), header.get("size")
    if not (all(isinstance(word, str) for word in words) and isinstance(size, list) and len(size) == 2):
        return False
    return all(type(side) is int and side > 0 for side in size) and size[0] * size[1] <= MOST_PIXELS


def _decoding(codec: Codec) -> str:
    """Changes with what else decoding needs: the frequencies that indices are coded with, and the deblocker."""
    deblocker = codec.deblocker.state_dict().values()
    return fingerprint(*(tensor.cpu().numpy() for tensor in (codec.usage, *deblocker)))


def _pack(z: Int64[Tensor, "c h w"], codec: Codec) -> bytes:
    coder = constriction.stream.queue.RangeEncoder()
    for indices, model in zip(z.flatten(1).cpu().numpy(), _models(codec), strict=True):
        coder.encode(indices.astype(np.int32), model)
    return coder.get_compressed().astype("<u4").tobytes()


def _unpack(payload: bytes, codec: Codec, grid: tuple[int, int]) -> Int64[Tensor, "c h w"]:
    coder = constriction.stream.queue.RangeDecoder(np.frombuffer(payload, dtype="<u4").astype(np.uint32))
    channels = [coder.decode(model, grid[0] * grid[1]) for model in _models(codec)]
    return torch.from_numpy(np.stack(channels).astype(np.int64)).reshape(-1, *grid)


def _models(codec: Codec) -> Iterator[Any]:
    return (constriction.stream.model.Categorical(likely, perfect=False) for likely in _frequencies(codec))


def _frequencies(codec: Codec) -> Iterator[np.ndarray]:
    """For each channel how likely its codewords are; one that was never chosen counts as if it had been once."""
    for counts, size in zip(codec.usage.cpu().numpy().astype(np.float64), codec.spec.codewords, strict=True):
        likely = counts[:size] + 1
        yield likely / likely.sum()


def _least_bits(codec: Codec) -> float:
    """Bits of the code of a patch whose codewords are the likeliest."""
    return sum(-float(np.log2(likely.max())) for likely in _frequencies(codec))
