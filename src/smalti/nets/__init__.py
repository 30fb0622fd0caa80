"""Networks: floats in, floats out. They know neither codecs nor losses."""

from smalti.nets.refiner import Refiner
from smalti.nets.unet import NO_LABEL, UNet

__all__ = ["NO_LABEL", "Refiner", "UNet"]
