"""A photo as a mosaic: tiles, codewords in their order, and what becomes of a tile where an index is moved."""

from dataclasses import dataclass, replace
from math import ceil

import torch
from jaxtyping import Int64, Integer, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from smalti.codec import Codec
from smalti.report import GAP, grid

MOST_TILES = 28
"""Along the longer side of a photo: more would be too small to be clicked."""

_BESIDE = 4  # codewords on either side of the chosen one
_VIEW, _STRIP, _CODEBOOK = 1000, 620, 620  # widths of pictures, in pixels
_FRAME = "#d7a33c"


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A photo in the codes of a codec; and which tile, and which of its codes, are looked at."""

    codec: str
    """What it is called on the page."""
    first: Int64[Tensor, "c h w"]
    """The codes of the photo."""
    z: Int64[Tensor, "c h w"]
    """Those that are shown."""
    place: tuple[int, int]
    """Row and column of the tile."""
    channel: int = 0

    @classmethod
    def of(cls, name: str, codec: Codec, photo: Integer[Tensor, "C H W"]) -> "Mosaic":
        """A photo as it is coded, its middle tile looked at."""
        z = codec.encode(photo[None].to(codec.device))[0].cpu()
        return cls(name, z, z, (z.shape[1] // 2, z.shape[2] // 2))

    @property
    def codes(self) -> list[int]:
        """Those of the tile, one of each codebook."""
        return self.z[:, self.place[0], self.place[1]].tolist()

    @property
    def index(self) -> int:
        """The one that is looked at."""
        return self.codes[self.channel]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Small pictures in rows, with grout between them."""

    columns: int
    count: int
    side: int
    """Of each picture, in pixels as they are shown."""
    scale: int

    @classmethod
    def fitting(cls, width: int, columns: int, count: int, patch: int) -> "Sheet":
        """One of about a width, in pixels, for patches of a side."""
        scale = max(1, (width // columns - GAP) // patch)
        return cls(columns, count, patch * scale, scale)

    def at(self, x: int | float, y: int | float) -> int:
        """The number of the picture that lies at a pixel."""
        pitch = self.side + GAP
        column = min(max(int(x) // pitch, 0), self.columns - 1)
        return min(max(int(y) // pitch, 0) * self.columns + column, self.count - 1)

    def drawn(self, pixels: UInt8[Tensor, "B c s s"], framed: tuple[int, ...]) -> Image.Image:
        """All of them, some in a frame."""
        image = grid(pixels, self.columns, self.scale).convert("RGB")
        draw, pitch = ImageDraw.Draw(image), self.side + GAP
        for number in framed:
            row, column = divmod(number, self.columns)
            left, top = column * pitch, row * pitch
            right, bottom = left + pitch + GAP - 1, top + pitch + GAP - 1
            draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), outline="#1c1a18", width=2)
            draw.rectangle((left, top, right, bottom), outline=_FRAME, width=3)
        return image


def tiled_size(height: int, width: int, patch: int) -> tuple[int, int]:
    """The size that a photo is brought to: whole tiles, and not too many of them."""
    side = max(patch, min(max(height, width), MOST_TILES * patch) // patch * patch)
    share = side / max(height, width)
    return tuple(max(1, round(each * share / patch)) * patch for each in (height, width))  # pyright: ignore[reportReturnType]


def tiles(mosaic: Mosaic, codec: Codec) -> tuple[Sheet, UInt8[Tensor, "B c s s"]]:
    """The decoded photo, cut into its tiles."""
    patch, (rows, columns) = codec.spec.patch, mosaic.z.shape[1:]
    pixels = codec.pixel_format.shown(codec.decode(mosaic.z[None].to(codec.device))[0].cpu())
    cut = pixels.unfold(1, patch, patch).unfold(2, patch, patch).permute(1, 2, 0, 3, 4).flatten(0, 1)
    return Sheet.fitting(_VIEW * columns // max(rows, columns), columns, rows * columns, patch), cut


def view(mosaic: Mosaic, codec: Codec) -> Image.Image:
    """The decoded photo as tiles, the one that is looked at in a frame."""
    sheet, cut = tiles(mosaic, codec)
    return sheet.drawn(cut, (mosaic.place[0] * sheet.columns + mosaic.place[1],))


def neighbours(mosaic: Mosaic, codec: Codec) -> range:
    """The index that is looked at and those on either side; where the codebook ends, more of the other side."""
    size = codec.spec.codewords[mosaic.channel]
    first = min(max(mosaic.index - _BESIDE, 0), size - 2 * _BESIDE - 1)
    return range(first, first + 2 * _BESIDE + 1)


def strip_sheet(codec: Codec) -> Sheet:
    """Where the neighbours are shown: alone, and below in the tile."""
    columns = 2 * _BESIDE + 1
    return Sheet.fitting(_STRIP, columns, 2 * columns, codec.spec.patch)


def strip(mosaic: Mosaic, codec: Codec) -> Image.Image:
    """The neighbours: each codeword alone, and below the tile as it is with it."""
    indices = neighbours(mosaic, codec)
    both = torch.cat([alone(codec, mosaic.channel, indices), _within(mosaic, codec, indices)])
    at = mosaic.index - indices[0]
    return strip_sheet(codec).drawn(codec.pixel_format.shown(both), (at, len(indices) + at))


def codebook_sheet(codec: Codec, channel: int) -> Sheet:
    """Where the codewords of a codebook are shown."""
    size = codec.spec.codewords[channel]
    columns = 2 ** ceil((size.bit_length() - 1) / 2)
    return Sheet.fitting(_CODEBOOK, columns, size, codec.spec.patch)


def codebook(mosaic: Mosaic, codec: Codec) -> Image.Image:
    """All codewords of a codebook, each alone, in their order."""
    size = codec.spec.codewords[mosaic.channel]
    shown = codec.pixel_format.shown(alone(codec, mosaic.channel, range(size)))
    return codebook_sheet(codec, mosaic.channel).drawn(shown, (mosaic.index,))


def alone(codec: Codec, channel: int, indices: range) -> Integer[Tensor, "B C s s"]:
    """Patches that are one codeword of one codebook, and of the mean elsewhere."""
    words = codec.codebooks[channel, indices.start : indices.stop].cpu()
    patch = codec.spec.patch
    planes = torch.zeros(len(indices), codec.spec.planes, patch, patch)
    planes[:, codec.spec.channel_planes[channel]] = words.unflatten(1, (patch, patch))
    return codec.pixel_format.pixels(codec.pixel_format.from_planes(planes))


def moved(mosaic: Mosaic, codec: Codec, index: int, *, everywhere: bool = False) -> Mosaic:
    """With the code that is looked at brought to an index, or those of all tiles by as much, where there are any."""
    last = codec.spec.codewords[mosaic.channel] - 1
    index, z = min(max(index, 0), last), mosaic.z.clone()
    if everywhere:
        z[mosaic.channel] = (z[mosaic.channel] + index - mosaic.index).clamp(0, last)
    else:
        z[mosaic.channel, mosaic.place[0], mosaic.place[1]] = index
    return replace(mosaic, z=z)


def codes_told(mosaic: Mosaic, codec: Codec) -> list[str]:
    """Each codebook by its plane, and the index of the tile in it."""
    spec, names = codec.spec, codec.pixel_format.coded_planes
    told = []
    for channel, (plane, index) in enumerate(zip(spec.channel_planes, mosaic.codes, strict=True)):
        stage = f" {channel - sum(spec.stages[:plane]) + 1}" if spec.stages[plane] > 1 else ""
        told.append(f"{names[plane]}{stage}: {index}")
    return told


def _within(mosaic: Mosaic, codec: Codec, indices: range) -> Integer[Tensor, "B C s s"]:
    """The tile with each of some indices, as its codewords make it."""
    z = torch.tensor(mosaic.codes).repeat(len(indices), 1)
    z[:, mosaic.channel] = torch.tensor(indices)
    return codec.pixel_format.pixels(codec.decode_plain(z[..., None, None].to(codec.device))).cpu()
