"""Networks: floats in, floats out. They know neither codecs nor losses."""

from smalti.nets.dit import DiT
from smalti.nets.dropout import BatchDropout
from smalti.nets.labels import NO_LABEL
from smalti.nets.pixel_network import PixelNetwork
from smalti.nets.refiner import Refiner
from smalti.nets.settings import DiTSettings, NetSettings, UNetSettings
from smalti.nets.unet import UNet

__all__ = [
    "NO_LABEL",
    "BatchDropout",
    "DiT",
    "DiTSettings",
    "NetSettings",
    "PixelNetwork",
    "Refiner",
    "UNet",
    "UNetSettings",
]
