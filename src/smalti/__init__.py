"""Smalti: image generators of your own pictures, on classical codebooks instead of a pretrained autoencoder."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.codec import Codec as Codec
    from smalti.codec import CodecSpec as CodecSpec
    from smalti.codec import bundled_codecs as bundled_codecs
    from smalti.codec import read_compressed as read_compressed
    from smalti.codec import write_compressed as write_compressed
    from smalti.data import CropSettings as CropSettings
    from smalti.data import Images as Images
    from smalti.data import Latents as Latents
    from smalti.data import encode_images as encode_images
    from smalti.data import open_images as open_images
    from smalti.diffusion import Categorical as Categorical
    from smalti.diffusion import CategoricalSettings as CategoricalSettings
    from smalti.diffusion import Continuous as Continuous
    from smalti.diffusion import ContinuousSettings as ContinuousSettings
    from smalti.diffusion import Masked as Masked
    from smalti.diffusion import MaskedSettings as MaskedSettings
    from smalti.diffusion import Multinomial as Multinomial
    from smalti.diffusion import MultinomialSettings as MultinomialSettings
    from smalti.diffusion import Process as Process
    from smalti.diffusion import ProcessSettings as ProcessSettings
    from smalti.errors import SmaltiError as SmaltiError
    from smalti.evaluation import EvaluateSettings as EvaluateSettings
    from smalti.evaluation import codec_quality as codec_quality
    from smalti.metrics import FeatureNetwork as FeatureNetwork
    from smalti.metrics import psnr as psnr
    from smalti.metrics import ssim as ssim
    from smalti.model_folder import ModelFolder as ModelFolder
    from smalti.nets import DiT as DiT
    from smalti.nets import DiTSettings as DiTSettings
    from smalti.nets import NetSettings as NetSettings
    from smalti.nets import Refiner as Refiner
    from smalti.nets import UNet as UNet
    from smalti.nets import UNetSettings as UNetSettings
    from smalti.pipeline import SampleSettings as SampleSettings
    from smalti.pipeline import SmaltiPipeline as SmaltiPipeline
    from smalti.pixels import PixelFormat as PixelFormat
    from smalti.pixels import to_image as to_image
    from smalti.recipes import CreateSettings as CreateSettings
    from smalti.recipes import create as create
    from smalti.recipes import evaluate as evaluate
    from smalti.schedulers import Resampling as Resampling
    from smalti.schedulers import Unmasking as Unmasking
    from smalti.schedulers import make_scheduler as make_scheduler
    from smalti.training import DeblockerSettings as DeblockerSettings
    from smalti.training import GeneratorSettings as GeneratorSettings
    from smalti.training import RefinerSettings as RefinerSettings
    from smalti.training import TrainSettings as TrainSettings
    from smalti.training import train_deblocker as train_deblocker
    from smalti.training import train_generator as train_generator
    from smalti.training import train_refiner as train_refiner

# Where each public name lives. They load on first use: importing torch and diffusers takes seconds, and
# `smalti --help` should not wait for them. Saved models name their parts by these names too.
_PUBLIC = {
    "codec": ("Codec", "CodecSpec", "bundled_codecs", "read_compressed", "write_compressed"),
    "data": ("CropSettings", "Images", "Latents", "encode_images", "open_images"),
    "diffusion": (
        "Categorical",
        "CategoricalSettings",
        "Continuous",
        "ContinuousSettings",
        "Masked",
        "MaskedSettings",
        "Multinomial",
        "MultinomialSettings",
        "Process",
        "ProcessSettings",
    ),
    "errors": ("SmaltiError",),
    "evaluation": ("EvaluateSettings", "codec_quality"),
    "metrics": ("FeatureNetwork", "psnr", "ssim"),
    "model_folder": ("ModelFolder",),
    "nets": ("DiT", "DiTSettings", "NetSettings", "Refiner", "UNet", "UNetSettings"),
    "pipeline": ("SampleSettings", "SmaltiPipeline"),
    "pixels": ("PixelFormat", "to_image"),
    "recipes": ("CreateSettings", "create", "evaluate"),
    "schedulers": ("Resampling", "Unmasking", "make_scheduler"),
    "training": (
        "DeblockerSettings",
        "GeneratorSettings",
        "RefinerSettings",
        "TrainSettings",
        "train_deblocker",
        "train_generator",
        "train_refiner",
    ),
}
_HOMES = {name: f"smalti.{room}" for room, names in _PUBLIC.items() for name in names}
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
