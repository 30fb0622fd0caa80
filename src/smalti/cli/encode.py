"""`smalti encode`: photos to latents."""

from pathlib import Path

import smalti.recipes as recipes
from smalti.cli.options import Photos
from smalti.encoding import Engine
from smalti.recipes import PhotoSettings, told_of_skipped


def encode(
    photos: Photos,
    /,
    *,
    codec: str,
    out: Path,
    crop: PhotoSettings = PhotoSettings(size=128),
    views: int = 1,
    flips: bool = True,
    keep_aspect: bool = False,
    seed: int = 0,
    engine: Engine = "local",
    workers: int | None = None,
    resume: bool = False,
) -> Path:
    """Encode photos into latents to train on.

    Example: smalti encode PHOTOS --codec photo-high --size 128 --out latents

    Args:
        photos: a folder, zip, tar shards, glob or dataset of photos; names of sub-folders become labels.
        codec: folder of a codec that `smalti fit` wrote, or the name of one that comes with the package.
        out: new folder for the latents.
        crop: size and crop of the photos.
        views: passes over the photos, with another random crop each; for --crop random.
        flips: encode each photo mirrored as well, or with --no-flips only as it is.
        keep_aspect: crop each photo to the nearest of a few sizes of about the area of --size, one number,
            from half to twice as high as wide.
        seed: of the random crops.
        engine: this machine (local), or a Ray cluster (ray), which writes the same.
        workers: processes of a core each; when left out as many as there are cores, or the cluster has,
            but this one alone where less than half a minute is left to do.
        resume: go on with an encode that was interrupted.
    """
    options = {"keep_aspect": keep_aspect, "engine": engine, "workers": workers, "resume": resume}
    latents = recipes.encode(photos, codec, out, crop=crop, views=views, flips=flips, seed=seed, **options)
    skipped = latents.manifest.skipped
    if skipped:
        print(told_of_skipped(skipped, latents.images + len(skipped)))
    classes = f", {len(latents.classes)} classes" if latents.classes else ""
    print(f"{out}: {len(latents)} latents of {latents.images} images{classes}")
    print(f"next: smalti train {out} --out run")
    return out / "manifest.json"
