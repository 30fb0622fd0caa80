"""`encode`: photos to latents."""

from pathlib import Path

from smalti.codec import Codec
from smalti.data import Latents, encode_images
from smalti.errors import SmaltiError
from smalti.files import refuse_occupied
from smalti.recipes.photos import PhotoSettings, require_contrast


def encode(
    photos: str,
    codec: str,
    out: Path,
    *,
    crop: PhotoSettings = PhotoSettings(size=128),
    views: int = 1,
    flips: bool = True,
    seed: int = 0,
) -> Latents:
    """Encode photos into a folder of latents.

    Raises:
        SmaltiError: photos or codec cannot be had, no photo has any contrast, `out` is taken, or views of one crop.
    """
    refuse_occupied(out)
    if views > 1 and crop.crop != "random":
        raise SmaltiError(f"{views} views of the same crop would be the same; take --crop random with --views.")
    loaded = Codec.from_pretrained(codec)
    images = crop.open(photos, loaded.pixel_format, seed)
    print(f"{photos}: {images.told}")
    require_contrast(images)
    return encode_images(images, loaded, out, views=views, flips=flips)
