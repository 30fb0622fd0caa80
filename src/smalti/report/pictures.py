"""Pictures for people: grids of samples, images side by side, curves."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from smalti.files import read_json_lines
from smalti.pixels import GREY_LEVELS, to_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.ImageFont import FreeTypeFont

GAP = 2
"""Pixels between the images of a grid, and around them."""

COLUMNS = 8
"""Pictures in a row of a sheet, unless it is told otherwise."""

_PAGE_WIDTH = 960
_LETTERS = 16  # pixels high
_CELL = 3.2  # inches across
_CAPTION = 0.3  # inches
_WHITE, _BLACK = (GREY_LEVELS,) * 3, (0, 0, 0)

Pictures = UInt8[Tensor, "_ _ _ _"] | Sequence[UInt8[Tensor, "_ _ _"]]
"""Pictures of one size, or of several."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a table, and the line under it."""

    pixels: UInt8[Tensor, "C H W"]
    caption: str


def grid(pixels: Pictures, columns: int, scale: int = 1) -> Image.Image:
    """All images in rows of `columns`, enlarged `scale` times without smoothing, a white line between them.

    Those of several sizes lie in the middle of places that are as large as any of them needs.
    """
    channels, height, width = (max(sides) for sides in zip(*(image.shape for image in pixels), strict=True))
    rows = -(-len(pixels) // columns)
    high, wide = height * scale + GAP, width * scale + GAP
    sheet = np.full((rows * high + GAP, columns * wide + GAP, channels), GREY_LEVELS, dtype=np.uint8)
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        shown = image.cpu().permute(1, 2, 0).numpy().repeat(scale, 0).repeat(scale, 1)
        top = row * high + GAP + (high - GAP - shown.shape[0]) // 2
        left = column * wide + GAP + (wide - GAP - shown.shape[1]) // 2
        sheet[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def sample_sheet(pixels: Pictures, columns: int = COLUMNS, names: Sequence[str] = ()) -> Image.Image:
    """A grid for a page: small pictures are enlarged until it is about as wide as the page.

    With `names` each stands over an equal share of the pictures, which are whole rows.
    """
    widest = max(image.shape[2] for image in pixels)
    scale = max(1, _PAGE_WIDTH // (columns * widest))
    if not names:
        return grid(pixels, columns, scale)
    share = len(pixels) // len(names)
    assert share * len(names) == len(pixels)
    assert share % columns == 0
    parts = [grid(pixels[first : first + share], columns, scale) for first in range(0, len(pixels), share)]
    font, line = _font(), _LETTERS + 3 * GAP
    sheet = Image.new("RGB", (max(part.width for part in parts), sum(line + part.height for part in parts)), _WHITE)
    top = 0
    for name, part in zip(names, parts, strict=True):
        ImageDraw.Draw(sheet).text((2 * GAP, top + line / 2 + GAP), name, _BLACK, font, anchor="lm")
        sheet.paste(part, (0, top + line))
        top += line + part.height
    return sheet


def side_by_side(rows: Sequence[Sequence[Cell]]) -> Image.Image:
    """A table of captioned pictures; the cells of a row show images of one size."""
    columns = max(len(row) for row in rows)
    heights = [_CELL * row[0].pixels.shape[1] / row[0].pixels.shape[2] + _CAPTION for row in rows]
    figure = _figure(_CELL * columns, sum(heights))
    axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for axis in axes.flat:
        axis.set_axis_off()
    for line, row in zip(axes, rows, strict=True):
        for axis, cell in zip(line, row, strict=False):
            axis.imshow(np.asarray(to_image(cell.pixels).convert("RGB")), interpolation="lanczos")
            axis.set_title(cell.caption, fontsize=9)
    return drawn(figure)


def training_curve(metrics: Path) -> Image.Image:
    """The losses in `metrics.jsonl` against the images seen, both axes logarithmic; that on held-out photos, too."""
    lines = read_json_lines(metrics)
    measured = [line for line in lines if "held_out_loss" in line]
    from matplotlib.ticker import LogFormatter

    figure = _figure(8.0, 3.0)
    axis = figure.subplots()
    axis.loglog(
        [line["images"] for line in lines], [line["loss"] for line in lines], linewidth=1, label="while training"
    )
    if measured:
        losses = [line["held_out_loss"] for line in measured]
        axis.loglog([line["images"] for line in measured], losses, "o-", label="photos held out", markersize=4)
        axis.legend()
    axis.set_xlabel("images seen")
    axis.set_ylabel("loss")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_major_formatter(LogFormatter())
    axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))  # 4, not 4 x 10^0
    axis.grid(which="both", alpha=0.3)
    return drawn(figure)


def level_curves(
    times: Sequence[float],
    losses: Mapping[str, Sequence[float | None]],
    references: Mapping[str, Sequence[float | None]],
    measure: str = "loss",
) -> Image.Image:
    """Losses by level of noise, given as a time of training; broken lines for what they are to be compared with."""
    figure = _figure(8.0, 4.0)
    axis = figure.subplots()
    for name, loss in losses.items():
        axis.plot(times, np.array(loss, dtype=float), "o-", label=name, linewidth=2, markersize=4)
    for (name, loss), style in zip(references.items(), cycle(("--", ":")), strict=False):
        axis.plot(times, np.array(loss, dtype=float), style, label=name, color="0.35")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("time, from hardly any noise to nothing else")
    axis.set_ylabel(measure)
    axis.grid(alpha=0.3)
    axis.legend()
    return drawn(figure)


def _font() -> "FreeTypeFont":
    """Letters of more of the world's scripts than Pillow's own."""
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), _LETTERS)


def _figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure  # takes long to import, and grids of pictures do without

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def drawn(figure: "Figure") -> Image.Image:
    """A matplotlib figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB")
