"""A sheet of edited photos.

    python benchmarks/editing.py MODEL PHOTO OTHER --label 3 --out edited.png

Rows: PHOTO without its middle, and that filled in, at each guidance towards --label; PHOTO, and variations of strength
0.2, 0.3 ... 0.8, likewise; a strip to OTHER; a strip between two seeds; and PHOTO extended on each side by half as much
again, at each guidance.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import tyro
from PIL import Image
from torch import Tensor

from smalti import SampleSettings, SmaltiPipeline, inpaint, interpolate, open_images, outpaint, vary
from smalti.report import grid
from smalti.sizes import height_width, read_size

COLUMNS = 8
_WIDTH = 1100  # pixels of the sheet, about
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
    guidances: tuple[float, ...] = (1.0, 2.0, 4.0),
    size: str | None = None,
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
        guidances: towards the label; more than 1 needs one.
        size: of the pictures, as 96x64 (height x width); the model's when left out.
        jumps: how often steps are gone back where something is known.
        settings: how pictures are sampled.
    """
    pipe = SmaltiPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    shape = height_width(read_size(size)) if size else pipe.size
    mode, (height, width) = pipe.codec.pixel_format.mode, shape
    first, last = (next(iter(open_images(path, size=shape, mode=mode))) for path in (photo, other))
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = True

    def of(count: int) -> list[int] | None:
        return None if label is None else [label] * count

    def row(*parts: Tensor, columns: int = COLUMNS) -> Image.Image:
        return grid(torch.cat(parts), columns, scale=max(1, _WIDTH // (COLUMNS * width)))

    new, wide, shown = COLUMNS - 1, COLUMNS // 2, first.masked_fill(mask, MISSING)[None]
    towards = [replace(settings, guidance=each) for each in (guidances if label is not None else (1.0,))]
    ends = list(pipe.codec.encode(torch.stack([first, last])))
    seeds = [next(pipe.latents(1, replace(settings, seed=seed), size=shape))[0] for seed in (1, 2)]
    rows = [
        *(row(shown, *inpaint(pipe, first, mask, new, each, jumps=jumps, labels=of(new))) for each in towards),
        *(
            row(first[None], *(x for s in STRENGTHS for x in vary(pipe, first, s, 1, each, labels=of(1))))
            for each in towards
        ),
        row(*interpolate(pipe, ends[0], ends[1], COLUMNS, settings, size=shape)),
        row(*interpolate(pipe, seeds[0], seeds[1], COLUMNS, settings, size=shape)),
        *(
            row(
                *outpaint(pipe, first, (height // 2, width // 2), wide, each, jumps=jumps, labels=of(wide)),
                columns=wide,
            )
            for each in towards
        ),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet(rows).save(out, optimize=True)
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
