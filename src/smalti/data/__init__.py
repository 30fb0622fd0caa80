"""Images in, latents out."""

from smalti.data.images import Images, Picture
from smalti.data.latents import Latents, encode_images
from smalti.data.manifest import Manifest
from smalti.data.pictures import Crop, CropSettings
from smalti.data.sources import open_images

__all__ = ["Crop", "CropSettings", "Images", "Latents", "Manifest", "Picture", "encode_images", "open_images"]
