"""Own photos: from a folder to a generator and sixteen pictures by it, all by public functions.

python examples/own_photos.py PHOTOS --out model --size 64 --minutes 20
"""

from pathlib import Path

import torch
import tyro

from smalti import CreateSettings, SampleSettings, create
from smalti.report import grid


def main(photos: str, /, *, out: Path = Path("model"), settings: CreateSettings = CreateSettings()) -> None:
    """Create a generator of photos, and draw pictures by it.

    Args:
        photos: a folder, zip, tar shards, glob or dataset of photos.
        out: new folder for the model.
        settings: size, time, codec.
    """
    pipe = create(photos, out, settings)  # a diffusers pipeline; SmaltiPipeline.from_pretrained(out) loads it again
    pictures = torch.cat(list(pipe.stream(16, SampleSettings(seed=1))))  # uint8 (16, 3, H, W)
    grid(pictures, columns=4).save(out / "sixteen.png")
    print(f"{out / 'sixteen.png'}: none picked")


if __name__ == "__main__":
    tyro.cli(main, config=(tyro.conf.OmitArgPrefixes,))
