"""A sheet of edited photos.

    python benchmarks/editing.py MODEL PHOTO OTHER --out edited.png

Rows: PHOTO without its middle, and that filled in, at --label if one is given; PHOTO, and variations of strength 0.2,
0.3 ... 0.8; a strip to OTHER; a strip between two seeds; and PHOTO extended on each side by half as much again.
"""

from pathlib import Path
from typing import Annotated

import torch
import tyro
from PIL import Image
from torch import Tensor

from smalti import SampleSettings, SmaltiPipeline, inpaint, interpolate, open_images, outpaint, vary
from smalti.report import grid

COLUMNS = 8
_WIDTH = 1000  # pixels of the sheet, about
STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
MISSING = 128  # the grey of what is filled in


def sheet(rows: list[Image.Image]) -> Image.Image:
    """Rows of pictures below each other."""
    whole = Image.new(rows[0].mode, (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return whole


def main(
    model: Annotated[Path, tyro.conf.Positional],
    photo: Annotated[Path, tyro.conf.Positional],
    other: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path = Path("edited.png"),
    label: int | None = None,
    jumps: int = 1,
    settings: SampleSettings = SampleSettings(),
) -> None:
    """Draw the sheet.

    Args:
        model: a model folder.
        photo: a photo, cropped to its largest centred part of the shape of the model's pictures.
        other: another.
        out: the sheet.
        label: number of the photo's class.
        jumps: how often steps are gone back where something is known.
        settings: how pictures are sampled.
    """
    pipe = SmaltiPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    mode, (height, width) = pipe.codec.pixel_format.mode, pipe.size
    first, last = (next(iter(open_images(path, size=pipe.size, mode=mode))) for path in (photo, other))
    mask = torch.zeros(pipe.size, dtype=torch.bool)
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = True

    def of(count: int) -> list[int] | None:
        return None if label is None else [label] * count

    def row(*parts: Tensor) -> Image.Image:
        return grid(torch.cat(parts), COLUMNS, scale=max(1, _WIDTH // (COLUMNS * width)))

    new = COLUMNS - 1
    ends = list(pipe.codec.encode(torch.stack([first, last])))
    seeds = [next(pipe.latents(1, SampleSettings(seed=seed, steps=settings.steps)))[0] for seed in (1, 2)]
    shown = first.masked_fill(mask, MISSING)[None]
    rows = [
        row(shown, *inpaint(pipe, first, mask, new, settings, jumps=jumps, labels=of(new))),
        row(first[None], *(part for each in STRENGTHS for part in vary(pipe, first, each, 1, settings, labels=of(1)))),
        row(*interpolate(pipe, ends[0], ends[1], COLUMNS, settings)),
        row(*interpolate(pipe, seeds[0], seeds[1], COLUMNS, settings)),
    ]
    wide = torch.cat(
        list(outpaint(pipe, first, (height // 2, width // 2), COLUMNS // 2, settings, jumps=jumps, labels=of(4)))
    )
    rows.append(grid(wide, COLUMNS // 2, scale=max(1, _WIDTH // (COLUMNS * width))))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet(rows).save(out, optimize=True)
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
