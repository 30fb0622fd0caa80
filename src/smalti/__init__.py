"""Smalti: image generators of your own pictures, on classical codebooks instead of a pretrained autoencoder."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.codec import Codec as Codec
    from smalti.codec import bundled_codecs as bundled_codecs
    from smalti.data import Latents as Latents
    from smalti.data import encode_images as encode_images
    from smalti.data import open_images as open_images
    from smalti.diffusion import Categorical as Categorical
    from smalti.diffusion import Continuous as Continuous
    from smalti.diffusion import Masked as Masked
    from smalti.diffusion import Multinomial as Multinomial
    from smalti.diffusion import Resampling as Resampling
    from smalti.diffusion import Unmasking as Unmasking
    from smalti.nets import DiT as DiT
    from smalti.nets import Refiner as Refiner
    from smalti.nets import UNet as UNet
    from smalti.pipeline import SmaltiPipeline as SmaltiPipeline

# Where each public name lives. They load on first use: importing torch and diffusers takes seconds, and
# `smalti --help` should not wait for them. Saved models name their parts by these names too.
_HOMES = {
    "Categorical": "smalti.diffusion",
    "Codec": "smalti.codec",
    "Continuous": "smalti.diffusion",
    "DiT": "smalti.nets",
    "Latents": "smalti.data",
    "Masked": "smalti.diffusion",
    "Multinomial": "smalti.diffusion",
    "Refiner": "smalti.nets",
    "Resampling": "smalti.diffusion",
    "SmaltiPipeline": "smalti.pipeline",
    "UNet": "smalti.nets",
    "Unmasking": "smalti.diffusion",
    "bundled_codecs": "smalti.codec",
    "encode_images": "smalti.data",
    "open_images": "smalti.data",
}
# diffusers finds out how to load a part by looking for its base class in the library that the part comes from.
_FOR_DIFFUSERS = {"ModelMixin": "diffusers", "SchedulerMixin": "diffusers"}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __dir__() -> list[str]:
    return sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = (_HOMES | _FOR_DIFFUSERS).get(name)
    if home is None:
        raise AttributeError(f"module 'smalti' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
