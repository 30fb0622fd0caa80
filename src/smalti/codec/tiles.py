"""A compressed photo as one file: a JSON line that says how to read it, then the indices, packed to the bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from smalti.codec.codec import Codec
from smalti.files import SmaltiError, replace_file

SUFFIX = ".smalti"
FORMAT_VERSION = 1

_MAGIC = b"smalti\n"


def write_tiles(path: Path, pixels: UInt8[Tensor, "C H W"], codec: Codec) -> int:
    """Compress one image into `path`; return the bytes written.

    Raises:
        SmaltiError: the image has another number of planes than the codec.
    """
    z = codec.encode(pixels[None])[0]
    header = {
        "format_version": FORMAT_VERSION,
        "codec": str(codec.spec),
        "codec_fingerprint": codec.fingerprint,
        "height": pixels.shape[1],
        "width": pixels.shape[2],
    }
    content = _MAGIC + json.dumps(header).encode() + b"\n" + _pack(z, codec)
    aside = path.with_name(f".{path.name}.partial")
    aside.write_bytes(content)
    replace_file(aside, path)
    return len(content)


def read_tiles(path: Path, codec: Codec) -> UInt8[Tensor, "C H W"]:
    """The image that `write_tiles` compressed with the same codec.

    Raises:
        SmaltiError: no such file, not one of ours, cut short, or written with another codec.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SmaltiError(
            f"{path}: cannot be read ({error.strerror}); name a file that `smalti compress` wrote."
        ) from None
    line, _, payload = content.removeprefix(_MAGIC).partition(b"\n")
    try:
        header: dict[str, Any] = json.loads(line) if content.startswith(_MAGIC) else {}
        version, size = header["format_version"], (header["height"], header["width"])
        made_by = header["codec_fingerprint"]
    except (ValueError, TypeError, KeyError):
        raise SmaltiError(f"{path}: not a file that `smalti compress` wrote, or cut short; name another.") from None
    if version > FORMAT_VERSION:
        raise SmaltiError(f"{path}: written by a later version of smalti; update smalti.")
    if made_by != codec.fingerprint:
        raise SmaltiError(f"{path}: was compressed with another codec ({header['codec']}); give the one that made it.")
    return codec.decode(_unpack(payload, codec, codec.spec.grid(*size), path)[None], size)[0]


def _pack(z: Int64[Tensor, "c h w"], codec: Codec) -> bytes:
    bits = [_binary(channel.flatten().cpu().numpy(), _index_bits(codec, number)) for number, channel in enumerate(z)]
    return np.packbits(np.concatenate(bits)).tobytes()


def _unpack(payload: bytes, codec: Codec, grid: tuple[int, int], path: Path) -> Int64[Tensor, "c h w"]:
    widths = [_index_bits(codec, number) for number in range(len(codec.spec.codewords))]
    patches = grid[0] * grid[1]
    if len(payload) != -(-sum(widths) * patches // 8):
        raise SmaltiError(f"{path}: cut short or damaged; compress the photo again.")
    stream = np.unpackbits(np.frombuffer(payload, dtype=np.uint8))[: sum(widths) * patches]
    ends = np.cumsum([width * patches for width in widths])[:-1]
    channels = [
        part.reshape(patches, width) @ (1 << np.arange(width, dtype=np.int64))
        for part, width in zip(np.split(stream, ends), widths, strict=True)
    ]
    return torch.from_numpy(np.stack(channels)).reshape(-1, *grid)


def _binary(indices: np.ndarray, width: int) -> np.ndarray:
    return ((indices[:, None] >> np.arange(width)) & 1).astype(np.uint8).ravel()


def _index_bits(codec: Codec, channel: int) -> int:
    return codec.spec.index_bits[codec.spec.channel_planes[channel]]
