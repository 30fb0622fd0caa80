"""What a pixel is: planes, the values they take, and the colours that they stand for.

Codecs, and networks in image space, work on grey levels: whatever the format, 0 stands for the lowest value and 255 for
the highest. For pixels of 8 bits the two are the same.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Integer, Num, UInt8
from PIL import Image
from torch import Tensor

from smalti.errors import SmaltiError

__all__ = ["CENTRE", "GREY", "GREY_LEVELS", "MOST_PIXELS", "RGB", "Colour", "Mode", "PixelFormat", "to_image"]

Colour = Literal["grey", "RGB", "bands"]
Mode = Literal["RGB", "L"]
"""How Pillow calls the formats that pictures are decoded to."""

GREY_LEVELS = 255
"""The grey level of the highest value; also that of white paper."""
MOST_PIXELS = 500_000_000
"""Of a picture: phones make 200 million."""

CENTRE = 128.0
"""The grey level that planes are centred on."""

_EXACT = 2**24  # integers that float32 holds

# BT.601 full range, as in JPEG (ITU-T T.871): Y, Cb, Cr from R, G, B. Y is centred on zero like the chroma planes.
_RGB_TO_YCBCR = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], dtype=torch.float64
)
# What is coded in the place of the planes of a colour: a matrix of planes from planes. A colour that is not here is
# coded as it is.
_CODED_AS: dict[str, tuple[Tensor, Tensor]] = {
    "RGB": (_RGB_TO_YCBCR.float(), torch.linalg.inv(_RGB_TO_YCBCR).float()),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelFormat:
    """Planes, their lowest and highest value, and what they are: grey, RGB, or bands that are no colours.

    RGB is coded as YCbCr; whatever else has three planes is not. Pixels are integers: `torch.uint8` where all values
    fit, and `torch.int32` elsewhere.
    """

    planes: int
    colour: Colour = "bands"
    lowest: int = 0
    highest: int = GREY_LEVELS

    def __post_init__(self) -> None:
        """Refuse a format that no pixel has.

        Raises:
            SmaltiError: no planes, no values, or a colour of another number of planes.
        """
        if self.colour not in get_args(Colour):
            raise SmaltiError(f"'{self.colour}' is no colour; take one of {', '.join(get_args(Colour))}.")
        if self.planes != {"grey": 1, "RGB": 3}.get(self.colour, max(self.planes, 1)):
            raise SmaltiError(f"{self.planes} planes are no pixels of {self.colour}; make them agree.")
        if self.lowest >= self.highest:
            raise SmaltiError(f"pixels from {self.lowest} to {self.highest}; the highest value must be the larger one.")
        if max(-self.lowest, self.highest) > _EXACT:
            raise SmaltiError(f"pixels from {self.lowest} to {self.highest}; beyond {_EXACT} they are not exact.")

    @classmethod
    def of_planes(cls, planes: int) -> "PixelFormat":
        """What so many planes of 8 bits are taken for where nothing else is said: grey, RGB, or bands."""
        return {1: GREY, 3: RGB}.get(planes) or cls(planes=planes)

    @classmethod
    def any_range(cls, planes: int) -> "PixelFormat":
        """So many bands of all values that are exact, while their range is not known yet."""
        return cls(planes=planes, lowest=-_EXACT, highest=_EXACT)

    @classmethod
    def of_mode(cls, mode: "Mode | PixelFormat") -> "PixelFormat":
        """That of pictures which are decoded to one of Pillow's modes, or to itself."""
        if isinstance(mode, PixelFormat):
            return mode
        return GREY if mode == GREY.mode else RGB

    @property
    def dtype(self) -> torch.dtype:
        """The type of pixels."""
        return torch.uint8 if self.lowest >= 0 and self.highest <= torch.iinfo(torch.uint8).max else torch.int32

    @property
    def least(self) -> int:
        """The least value that the type of pixels holds exactly where it is computed with."""
        return 0 if self.dtype == torch.uint8 else -_EXACT

    @property
    def most(self) -> int:
        """The largest such value."""
        return torch.iinfo(torch.uint8).max if self.dtype == torch.uint8 else _EXACT

    @property
    def bits(self) -> int:
        """Bits of a pixel that is not coded, all planes together."""
        return self.planes * (self.highest - self.lowest).bit_length()

    @property
    def coded_planes(self) -> list[str]:
        """What the planes that are coded are called."""
        if self.colour == "RGB":
            return ["Y", "Cb", "Cr"]
        return ["grey"] if self.colour == "grey" else [f"band {number}" for number in range(1, self.planes + 1)]

    @property
    def mode(self) -> "Mode | PixelFormat":
        """How Pillow calls it; bands, and pixels of other ranges than photos have, are themselves."""
        if self == GREY:
            return "L"
        if self == RGB:
            return "RGB"
        return self

    def __str__(self) -> str:
        """The format in words."""
        return f"{self.planes} planes of {self.colour} from {self.lowest} to {self.highest}"

    @property
    def _scale(self) -> float:
        return GREY_LEVELS / (self.highest - self.lowest)

    @property
    def _is_levels(self) -> bool:
        """Whether pixels are grey levels as they are."""
        return (self.lowest, self.highest) == (0, GREY_LEVELS)

    def levels(self, pixels: Num[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
        """Grey levels of pixels."""
        levels = pixels.float()
        return levels if self._is_levels else (levels - self.lowest) * self._scale

    def pixels(self, levels: Float[Tensor, "*B C H W"]) -> Integer[Tensor, "*B C H W"]:
        """Pixels of grey levels, rounded and clipped."""
        values = levels if self._is_levels else levels / self._scale + self.lowest
        return values.round().clamp_(self.lowest, self.highest).to(self.dtype)

    def shown(self, pixels: Integer[Tensor, "*B C H W"]) -> UInt8[Tensor, "*B c H W"]:
        """Pixels as pictures to look at, grey or RGB of 8 bits: of bands the first three as red, green and blue.

        With two bands it is the first alone. Bands are brightened so that the brightest of all these pixels is white.
        """
        if isinstance(self.mode, str):
            return pixels
        levels = self.levels(pixels[..., : 3 if self.planes >= 3 else 1, :, :])
        if self.colour == "bands":
            levels = levels * (GREY_LEVELS / levels.max().clamp(min=1))
        return levels.round().clamp(0, GREY_LEVELS).to(torch.uint8)

    def to_planes(self, levels: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The planes that are coded, centred on 0, of grey levels."""
        centred = levels - CENTRE
        if self.colour not in _CODED_AS:
            return centred
        # An offset of -128 in R, G and B is an offset of -128 in Y alone: the rows for Cb and Cr sum to zero.
        return _mixed(_CODED_AS[self.colour][0], centred)

    def from_planes(self, planes: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The inverse of `to_planes`, not clipped."""
        if self.colour not in _CODED_AS:
            return planes + CENTRE
        return _mixed(_CODED_AS[self.colour][1], planes).add_(CENTRE)

    def check(self, pixels: Tensor, what: str) -> None:
        """Refuse a tensor (..., C, H, W) that is no image of this format, called `what`.

        Raises:
            SmaltiError: another type, another number of planes, or no pixels.
        """
        if pixels.dtype != self.dtype or pixels.ndim < 3 or not pixels.numel():
            raise SmaltiError(
                f"{what} is {pixels.dtype} of shape {tuple(pixels.shape)}; give {self.dtype} (..., C, H, W)."
            )
        if pixels.shape[-3] != self.planes:
            raise SmaltiError(f"{what} has {pixels.shape[-3]} planes and the codec is for {self}; make them agree.")


GREY = PixelFormat(planes=1, colour="grey")
RGB = PixelFormat(planes=3, colour="RGB")


def _mixed(matrix: Float[Tensor, "P C"], planes: Float[Tensor, "B C H W"]) -> Float[Tensor, "B P H W"]:
    return (matrix.to(planes.device) @ planes.flatten(2)).unflatten(2, planes.shape[2:])


def to_image(pixels: Integer[Tensor, "C H W"]) -> Image.Image:
    """A Pillow image of one grey or three colour planes.

    Raises:
        SmaltiError: another number of planes, or pixels of another type.
    """
    if len(pixels) not in (1, 3) or pixels.dtype != torch.uint8:
        raise SmaltiError(f"{len(pixels)} planes of {pixels.dtype} make no picture; take one or three of torch.uint8.")
    array = pixels.cpu().permute(1, 2, 0).numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
