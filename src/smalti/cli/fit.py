"""`smalti fit`: photos to a codec."""

from pathlib import Path

import smalti.recipes as recipes
from smalti.cli.options import Photos
from smalti.recipes import FitSettings, PhotoSettings


def fit(
    photos: Photos,
    /,
    *,
    codec: str,
    out: Path,
    crop: PhotoSettings = PhotoSettings(),
    settings: FitSettings = FitSettings(),
    device: str | None = None,
) -> Path:
    """Fit a codec on photos.

    Example: smalti fit PHOTOS --codec OPQ-32-8-8 --out codec

    Args:
        photos: a folder, zip, tar shards, glob or dataset of photos.
        codec: the codec, such as OPQ-32-8-8, RQ-16 for grey, or PQ-32-8-8/4 for patches of 4x4 pixels.
        out: new folder for the codec.
        crop: size and crop of the photos.
        settings: how it is fitted.
        device: where the convolutional deblocker is trained.
    """
    fitted, quality = recipes.fit(photos, codec, out, settings, crop=crop, device=device)
    print(
        f"{out}: {fitted.spec}, {fitted.bits_per_pixel:g} bits a pixel, 1:{fitted.compression_ratio:g}; {quality} on "
        f"{quality.images} of its own photos"
    )
    print(f"next: smalti encode {photos} --codec {out} --size 128 --out latents")
    return out / "fit.json"
