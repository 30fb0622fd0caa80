"""What the pipeline returns, in the form that was asked for."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import diffusers
import numpy as np
from jaxtyping import Integer
from PIL import Image
from torch import Tensor

from smalti.errors import SmaltiError
from smalti.pixels import GREY_LEVELS, PixelFormat, to_image

OutputType = Literal["pil", "np", "pt", "latent"]


@dataclass
class SmaltiOutput(diffusers.utils.BaseOutput):
    """Pictures as `output_type` asked for them, and the latents (B, c, h, w) that they were decoded from."""

    images: list[Image.Image] | np.ndarray | Tensor
    latents: Tensor


def require_known_output(output_type: str) -> None:
    """Refuse a form that pictures do not come in.

    Raises:
        SmaltiError: so it is.
    """
    if output_type not in get_args(OutputType):
        raise SmaltiError(f"'{output_type}' is no output type; take pil, np, pt or latent.")


def as_asked(pixels: Integer[Tensor, "B C H W"], form: PixelFormat, output_type: str) -> Any:
    """Pictures of Pillow; or floats from 0, the lowest value, to 1, the highest: an array (B, H, W, C), or a tensor."""
    if output_type == "pil":
        return [to_image(each) for each in pixels]
    shares = form.levels(pixels) / GREY_LEVELS
    return shares if output_type == "pt" else shares.permute(0, 2, 3, 1).numpy()
