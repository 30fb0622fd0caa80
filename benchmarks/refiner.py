"""What a refiner makes of decoded photos, and what it costs to show it the guesses of a generator.

    python benchmarks/refiner.py TRAINING_PHOTOS --photos KODAK STANDARD --out FOLDER

A generator is trained on crops of the training photos, then refiners for it: one shown decoded photos as they are (the
default of `smalti refine`), one shown what the generator takes them for under noise. Both are measured by PSNR and SSIM
on PHOTOS, which nothing was fitted on, beside the codec alone and its own convolutional deblocker. What is done is kept
in FOLDER.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import tyro
from torch import Tensor

from _study import give_refiner, require_same
from _table import finish
from smalti import (
    Codec,
    DeblockerSettings,
    GeneratorSettings,
    Images,
    Latents,
    RefinerSettings,
    SmaltiPipeline,
    TrainSettings,
    encode_images,
    open_images,
    psnr,
    ssim,
    to_image,
    train_deblocker,
    train_generator,
)
from smalti.devices import find_device
from smalti.files import new_folder, read_json, write_json
from smalti.records import to_record

SIDE = 64
GUESSED = 300  # time at which the generator is shown photos at the latest

Decode = Callable[[Tensor], Tensor]
"""A photo (C, H, W) to what is left of it after coding."""


def crops(photos: Images, folder: Path) -> Images:
    """Every photo cut into squares of `SIDE` pixels, at its own resolution."""
    if not folder.is_dir():
        with new_folder(folder) as whole:
            for picture in photos.pictures():
                for row, strip in enumerate(picture.pixels.split(SIDE, dim=1)):
                    for column, crop in enumerate(strip.split(SIDE, dim=2)):
                        if crop.shape[1:] == (SIDE, SIDE):
                            name = f"{picture.number:04}-{row}-{column}.png"
                            to_image(crop).save(whole / name)
    return open_images(folder, size=SIDE)


def train_model(photos: Images, spec: str, images: int, out: Path) -> None:
    """Train a generator of crops, as `create` does."""
    if not (out / "latents").is_dir():
        encode_images(crops(photos, out / "crops"), Codec.fit(photos, spec), out / "latents")
    settings = TrainSettings(images=images, checkpoint_every=images // 10)
    train_generator(Latents(out / "latents"), out / "model", GeneratorSettings(), settings, resume=True)


def quality(decode: Decode, sets: dict[str, Images]) -> dict[str, list[float]]:
    """Mean PSNR and SSIM of each set."""
    found = {}
    for name, photos in sets.items():
        pairs = [(decode(photo), photo) for photo in photos]
        found[name] = [mean(measure(*pair) for pair in pairs) for measure in (psnr, ssim)]
    return found


def refiner(
    training: str,
    /,
    *,
    photos: list[Path],
    out: Path,
    spec: str = "OPQ-32-8-8",
    images: int = 100_000,
    settings: RefinerSettings = RefinerSettings(),
) -> None:
    """Train refiners and a deblocker on the same photos, and measure them on others.

    Args:
        training: photos to train on; larger than 64 pixels, the more the better.
        photos: folders of photos to measure on.
        out: folder for all that is made.
        spec: of the codec to fit.
        images: crops that the generator is trained on, counted with repetition.
        settings: of the refiners; the deblocker is trained on as many crops.
    """
    sets = {folder.name: open_images(folder) for folder in photos}
    learned = open_images(training)
    asked = {"training": training, "spec": spec, "images": images, "settings": to_record(settings)}
    require_same(out / "study.json", asked | {"photos": sorted(map(str, photos))})
    train_model(learned, spec, images, out)

    def fitted() -> Codec:
        return Codec.from_pretrained(out / "latents" / "codec")

    def by(codec: Codec) -> Decode:
        return lambda photo: codec.decode(_codes(codec, photo), _size(photo))[0].cpu()

    def refined(latest: int) -> Decode:
        give_refiner(out / "model", learned, replace(settings, latest=latest))
        pipe = SmaltiPipeline.from_pretrained(out / "model").to(find_device())
        return lambda photo: pipe.decode(_codes(pipe.codec, photo), _size(photo))[0].cpu()

    def deblocked() -> Decode:
        deblocker = DeblockerSettings(crops=settings.pairs, crop_side=SIDE)
        return by(train_deblocker(fitted(), learned, deblocker).to(find_device()))

    ways: dict[str, Callable[[], Decode]] = {
        "codec alone": lambda: by(fitted()),
        "+ refiner": lambda: refined(0),
        f"+ refiner of guesses (latest = {GUESSED})": lambda: refined(GUESSED),
        "+ the codec's own deblocker": deblocked,
    }
    table = []
    for name, way in ways.items():
        kept = out / f"{name.replace(' ', '_')}.json"
        if not kept.is_file():
            write_json(kept, quality(way(), sets))
        found = read_json(kept)
        table.append([name, *(cell for place in found for cell in _cells(found[place]))])
    headers = ["model", *(f"{name}, {figure}" for name in sets for figure in ("PSNR, dB", "SSIM"))]
    made: dict[str, Any] = asked | {"training": Path(training).name}
    finish("refiner", headers, table, **made)


def _codes(codec: Codec, photo: Tensor) -> Tensor:
    return codec.encode(photo[None].to(codec.codebooks.device))


def _size(photo: Tensor) -> tuple[int, int]:
    return photo.shape[1], photo.shape[2]


def _cells(found: list[float]) -> list[str]:
    return [f"{found[0]:.2f}", f"{found[1]:.4f}"]


if __name__ == "__main__":
    tyro.cli(refiner, config=(tyro.conf.OmitArgPrefixes,))
