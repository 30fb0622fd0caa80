"""What a codec is called: the spec string, and what follows from it (paper section 3.1)."""

import re
from dataclasses import dataclass
from math import ceil
from typing import Literal, cast, get_args

from smalti.errors import SmaltiError

Quantizer = Literal["VQ", "PQ", "OPQ", "RQ", "LSQ"]

INDEX_BITS = range(4, 13)
_DEFAULT_INDEX_BITS = 8
_DEFAULT_PATCH = 8
_LARGEST_PATCH = 64
_MOST_BITS = 4096  # of a plane's patch: as many as 64 indices of 8 bits have, eight times
_MOST_PLANES = 1024


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """What `NAME-b1-b2-...` says: the quantizer, and the bits spent on one patch of each plane.

    A plane of b bits with indices of i bits has m = b / i sub-quantizers ("stages"), each with a codebook of
    K = 2**i codewords. A latent has one channel for each stage of each plane, planes in order.
    """

    quantizer: Quantizer
    bits: tuple[int, ...]
    index_bits: tuple[int, ...]
    patch: int = _DEFAULT_PATCH

    @classmethod
    def parse(cls, text: str) -> "CodecSpec":
        """Read a spec such as `OPQ-32-8-8`, `RQ-16`, `PQ-32-8-8/4`, `VQ-10@10-8-8` or `VQ-{8-8-8}`.

        Raises:
            SmaltiError: the text is no spec, or names sub-quantizers that the patch or the index size does not allow.
        """
        number = r"[0-9]{1,6}"
        plane = f"{number}(?:@{number})?"
        found = re.fullmatch(rf"([A-Za-z]+)-(\{{?)({plane}(?:-{plane})*)(\}}?)(?:/({number}))?", text.strip())
        if found is None or bool(found[2]) != bool(found[4]) or found[1].upper() not in get_args(Quantizer):
            raise SmaltiError(
                f"'{text}' is not a codec: write one of {', '.join(get_args(Quantizer))} and the bits a patch for each "
                "plane, such as OPQ-32-8-8 for colour, RQ-16 for grey, or PQ-32-8-8/4 for patches of 4x4 pixels."
            )
        planes = [each.partition("@") for each in found[3].split("-")]
        bits = tuple(int(plane[0]) for plane in planes)
        index_bits = tuple(int(plane[2] or _DEFAULT_INDEX_BITS) for plane in planes)
        spec = cls(cast(Quantizer, found[1].upper()), bits, index_bits, int(found[5] or _DEFAULT_PATCH))
        spec._check(text)
        return spec

    def _check(self, text: str) -> None:
        if not 1 <= self.patch <= _LARGEST_PATCH:
            raise SmaltiError(
                f"'{text}': a patch side of {self.patch} is out of range; take 1 to {_LARGEST_PATCH} pixels."
            )
        if self.planes > _MOST_PLANES or max(self.bits) > _MOST_BITS:
            raise SmaltiError(
                f"'{text[:50]}': {self.planes} planes of at most {max(self.bits)} bits a patch; take up to "
                f"{_MOST_PLANES} of {_MOST_BITS}."
            )
        for bits, index_bits in zip(self.bits, self.index_bits, strict=True):
            if index_bits not in INDEX_BITS:
                raise SmaltiError(
                    f"'{text}': an index of {index_bits} bits is out of range; "
                    f"take {INDEX_BITS[0]} to {INDEX_BITS[-1]}."
                )
            if bits == 0:
                raise SmaltiError(f"'{text}': a plane of 0 bits; give each plane at least one index.")
            if bits % index_bits:
                raise SmaltiError(
                    f"'{text}': {bits} bits are no multiple of an index of {index_bits} bits; take a multiple of "
                    f"{index_bits}, or name another index size as in {bits}@{bits if bits in INDEX_BITS else 10}."
                )
            stages = bits // index_bits
            if self.quantizer == "VQ" and stages != 1:
                raise SmaltiError(
                    f"'{text}': VQ has one index a plane, and {bits} bits would be {stages}; take PQ, OPQ, RQ or LSQ."
                )
            if self.quantizer in ("PQ", "OPQ") and self.dimension % stages:
                divisors = [m for m in range(1, self.dimension + 1) if self.dimension % m == 0 and m <= 64]
                raise SmaltiError(
                    f"'{text}': {stages} sub-vectors do not divide a patch of {self.dimension} pixels; "
                    f"these numbers do: {', '.join(map(str, divisors))} (times {index_bits} bits)."
                )

    def __str__(self) -> str:
        """The canonical text, which `parse` reads back to an equal spec."""
        planes = (
            str(bits) if index_bits == _DEFAULT_INDEX_BITS else f"{bits}@{index_bits}"
            for bits, index_bits in zip(self.bits, self.index_bits, strict=True)
        )
        return "-".join([self.quantizer, *planes]) + (f"/{self.patch}" if self.patch != _DEFAULT_PATCH else "")

    @property
    def planes(self) -> int:
        """Number of planes, C."""
        return len(self.bits)

    @property
    def stages(self) -> tuple[int, ...]:
        """Number of sub-quantizers, m, of each plane."""
        return tuple(bits // index_bits for bits, index_bits in zip(self.bits, self.index_bits, strict=True))

    @property
    def channel_planes(self) -> tuple[int, ...]:
        """The plane that each latent channel belongs to; its length is the number of channels, c."""
        return tuple(plane for plane, stages in enumerate(self.stages) for _ in range(stages))

    @property
    def codewords(self) -> tuple[int, ...]:
        """Number of codewords, K = 2**i, of each latent channel."""
        return tuple(2 ** self.index_bits[plane] for plane in self.channel_planes)

    @property
    def dimension(self) -> int:
        """Pixels in a patch of one plane, n = s * s."""
        return self.patch**2

    @property
    def bits_per_pixel(self) -> float:
        """Bits of fixed-length code for one pixel, all planes together."""
        return sum(self.bits) / self.dimension

    @property
    def compression_ratio(self) -> float:
        """Bits of an 8-bit image over bits of its code: 8 C s**2 / (bits a patch)."""
        return 8 * self.planes / self.bits_per_pixel

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patches, (h, w), for an image of `height` x `width` pixels; the last may be partial."""
        return ceil(height / self.patch), ceil(width / self.patch)
