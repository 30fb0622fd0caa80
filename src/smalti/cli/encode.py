"""`smalti encode`: photos to latents."""

from pathlib import Path

from smalti.cli.options import CropOptions, Photos, report_skipped
from smalti.codec import Codec
from smalti.data import encode_images
from smalti.files import SmaltiError, refuse_occupied


def encode(
    photos: Photos,
    /,
    *,
    codec: str,
    out: Path,
    crop: CropOptions = CropOptions(size=128),
    views: int = 1,
    flips: bool = True,
    seed: int = 0,
) -> None:
    """Encode photos into latents to train on.

    Args:
        photos: a folder, zip, tar shards, glob or dataset of photos; names of sub-folders become labels.
        codec: folder of a codec that `smalti fit` wrote, or the name of one that comes with the package.
        out: new folder for the latents.
        crop: size and crop of the photos.
        views: passes over the photos, with another random crop each; for --crop random.
        flips: encode each photo mirrored as well (--no-flips: only as it is).
        seed: of the random crops.
    """
    refuse_occupied(out)
    if views > 1 and crop.crop != "random":
        raise SmaltiError(f"{views} views of the same crop would be the same; take --crop random with --views.")
    loaded = Codec.from_pretrained(codec)
    images = crop.open(photos, loaded.spec, seed)
    latents = encode_images(images, loaded, out, views=views, flips=flips)
    report_skipped(images)
    classes = f", {len(latents.classes)} classes" if latents.classes else ""
    print(f"{out}: {len(latents)} latents of {latents.images} images{classes}")
    print(f"next: smalti train {out} --out run")
