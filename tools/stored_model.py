"""Write the tiny model of this version that tests hold later ones to: tests/stored/VERSION (docs/compatibility.md).

    python tools/stored_model.py

Once a version; what is there is never written again.
"""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from smalti import (
    Codec,
    DiTSettings,
    GeneratorSettings,
    RefinerSettings,
    SampleSettings,
    TrainSettings,
    encode_images,
    open_images,
    train_generator,
    train_refiner,
    write_compressed,
)
from smalti.files import new_folder

STORED = Path(__file__).parents[1] / "tests" / "stored"
SPEC = "OPQ-8@4-4@4-4@4/4"
SETTINGS = SampleSettings(steps=4, seed=1, extrapolation=0.0)


def photos() -> np.ndarray:
    """Eight pictures of 16x16 pixels that take no data: (8, 16, 16, 3)."""
    row, column, number = np.mgrid[:16, :16, :8]
    planes = [row * (16 - number), column * 15 + number * 2, (row + column) * (number + 1)]
    return np.stack(planes, axis=-1).transpose(2, 0, 1, 3).clip(0, 255).astype(np.uint8)


def store(out: Path) -> None:
    """A model with all of its parts, a compressed photo, and what both give."""
    images = open_images(photos())
    with new_folder(out) as aside, tempfile.TemporaryDirectory() as scratch:
        codec = Codec.fit(images, SPEC, patches=256, progress=False)
        model = aside / "model"
        latents = encode_images(images, codec, model / "latents", progress=False)
        settings = GeneratorSettings(net=DiTSettings(width=32, layers=1))
        training = TrainSettings(images=64, batch_size=16, warmup=16)
        train_generator(latents, model, settings, training, device="cpu", progress=False)
        refining = RefinerSettings(pairs=16, pairs_a_step=8, network_width=8, network_blocks=1)
        pipe = train_refiner(model, images, refining, device="cpu", progress=False)
        for part in ("checkpoints", "refining", ".lock"):  # of the training alone
            shutil.move(model / part, scratch)

        pixels = torch.from_numpy(photos()).permute(0, 3, 1, 2).contiguous()
        write_compressed(aside / "photo.smalti", pixels[0], codec)
        codes = codec.encode(pixels)
        np.savez_compressed(
            aside / "expected.npz",
            photos=pixels.numpy(),
            codes=codes.numpy(),
            decoded=codec.decode(codes).numpy(),
            sampled=torch.cat(list(pipe.stream(4, SETTINGS))).numpy(),
        )


if __name__ == "__main__":
    store(STORED / version("smalti"))
