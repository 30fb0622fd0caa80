"""Images in, and the latents that are made of them."""

from smalti.data.images import Images, Picture, Unreadable
from smalti.data.latents import COUNTS, LABELS, NO_LABEL, Latents, kind_of
from smalti.data.manifest import Manifest
from smalti.data.mixed import AnyLatents, MixedLatents, open_latents
from smalti.data.pictures import Crop, CropSettings, read_picture
from smalti.data.sources import open_images

__all__ = [
    "COUNTS",
    "LABELS",
    "NO_LABEL",
    "AnyLatents",
    "Crop",
    "CropSettings",
    "Images",
    "Latents",
    "Manifest",
    "MixedLatents",
    "Picture",
    "Unreadable",
    "kind_of",
    "open_images",
    "open_latents",
    "read_picture",
]
