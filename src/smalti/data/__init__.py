"""Images in, latents out."""

from smalti.data.images import Images, Picture
from smalti.data.latents import Latents, encode_images, open_as_encoded, trained_on
from smalti.data.pictures import CropSettings
from smalti.data.sources import open_images

__all__ = [
    "CropSettings",
    "Images",
    "Latents",
    "Picture",
    "encode_images",
    "open_as_encoded",
    "open_images",
    "trained_on",
]
