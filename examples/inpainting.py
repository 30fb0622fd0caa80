"""Inpainting: the middle of a photo is made anew four times, by a model of photos of its kind.

python examples/inpainting.py MODEL PHOTO --out inpainted.png
"""

from pathlib import Path

import torch
import tyro

from smalti import SampleSettings, SmaltiPipeline, inpaint, open_images
from smalti.report import grid


def main(
    model: str,
    photo: Path,
    /,
    *,
    out: Path = Path("inpainted.png"),
    jumps: int = 1,
    settings: SampleSettings = SampleSettings(),
) -> None:
    """Draw the photo, what is shown of it, and four ways to fill it in.

    Args:
        model: a model folder, or owner/name on the Hub.
        photo: the photo, cropped to the shape of the model's pictures.
        out: the sheet.
        jumps: how often steps are gone back and taken again, so that what is made agrees with what is there.
        settings: how pictures are sampled.
    """
    pipe = SmaltiPipeline.from_pretrained(model)
    (x,) = open_images(photo, size=pipe.size, mode=pipe.codec.pixel_format.mode)
    height, width = pipe.size
    mask = torch.zeros(height, width, dtype=torch.bool)  # any shape will do
    mask[height // 4 : -height // 4, width // 4 : -width // 4] = True
    filled = torch.cat(list(inpaint(pipe, x, mask, 4, settings, jumps=jumps)))
    assert torch.equal(filled[:, :, ~mask], x[:, ~mask].expand(4, -1, -1))  # what is known stays, to the bit
    grid(torch.cat([x[None], x.masked_fill(mask, 128)[None], filled]), columns=6).save(out)
    print(out)


if __name__ == "__main__":
    tyro.cli(main, config=(tyro.conf.OmitArgPrefixes,))
