"""Satellite bands: a codec and a generator of pictures with any planes of 16 bits, and generated ones as an array.

    python examples/satellite_bands.py tiles.npy --out bands --images 100000

`tiles.npy` holds whole numbers from 0 to 65,535 of shape (N, bands, H, W).
"""

from pathlib import Path

import numpy as np
import torch
import tyro

from smalti import (
    Codec,
    GeneratorSettings,
    PixelFormat,
    SampleSettings,
    TrainSettings,
    encode_images,
    open_images,
    train_generator,
)


def main(tiles: Path, /, *, out: Path = Path("bands"), size: int = 64, images: int = 100_000, count: int = 8) -> None:
    """Fit, encode, train, and generate.

    Args:
        tiles: the file.
        out: new folder.
        size: of the pictures in pixels; tiles are cropped to it.
        images: images to train on, counted with repetition.
        count: how many to generate.
    """
    planes = np.load(tiles, mmap_mode="r").shape[1]
    form = PixelFormat(planes=planes, colour="bands", highest=65_535)
    found = open_images(tiles, size=size, mode=form)
    codec = Codec.fit(found, "-".join(["PQ", *["16"] * planes]) + "/4", pixel_format=form)
    latents = encode_images(found, codec, out / "latents")
    pipe = train_generator(
        latents, out / "model", GeneratorSettings(), TrainSettings(images=images, warmup=images // 10)
    )
    made = torch.cat(list(pipe.stream(count, SampleSettings()))).numpy()  # int32 (count, bands, size, size)
    np.save(out / "generated.npy", made.astype(np.uint16))
    for band, (real, generated) in enumerate(zip(*(_means(each) for each in (found, made)), strict=True)):
        print(f"band {band}: mean {generated:,.0f}, of the tiles {real:,.0f}")


def _means(pictures) -> np.ndarray:
    return np.mean([np.asarray(picture, dtype=np.float64).mean((1, 2)) for picture in pictures], axis=0)


if __name__ == "__main__":
    tyro.cli(main)
