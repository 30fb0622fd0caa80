"""Labels: each step of the way by itself, on photos in a folder a class; then a row of pictures a class, guided.

python examples/labels.py PHOTOS --out labelled --images 100000
"""

from pathlib import Path

import torch
import tyro

from smalti import (
    Codec,
    GeneratorSettings,
    RefinerSettings,
    SampleSettings,
    TrainSettings,
    UNetSettings,
    encode_images,
    open_images,
    train_generator,
    train_refiner,
)
from smalti.report import grid

COLUMNS = 8


def main(
    photos: str, /, *, out: Path = Path("labelled"), size: int = 64, images: int = 100_000, steps: int = 50
) -> None:
    """Fit, encode, train, refine, and draw a sheet of all classes.

    Args:
        photos: a folder with a sub-folder of photos for each class.
        out: new folder.
        size: of the pictures in pixels.
        images: images to train on, counted with repetition; the refiner gets two fifths of that.
        steps: of the scheduler, to generate.
    """
    found = open_images(photos, size=size)
    print(found.told)
    codec = Codec.fit(found, "OPQ-32-8-8/4")
    latents = encode_images(found, codec, out / "latents")
    model = GeneratorSettings(net=UNetSettings(width=64))
    train_generator(latents, out / "model", model, TrainSettings(images=images, warmup=images // 10))
    pipe = train_refiner(out / "model", found, RefinerSettings(pairs=2 * images // 5))

    labels = [label for label in range(len(pipe.classes)) for _ in range(COLUMNS)]
    rows = pipe.stream(len(labels), SampleSettings(steps=steps, guidance=2.0, temperature=1.0), labels=labels)
    grid(torch.cat(list(rows)), COLUMNS).save(out / "classes.png")
    print(f"{out / 'classes.png'}: by rows {', '.join(pipe.classes)}")


if __name__ == "__main__":
    tyro.cli(main)
