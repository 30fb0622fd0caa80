"""Train: how a run comes along, as it is written down."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from smalti.app.look import figures, note
from smalti.app.shared import opened, wire
from smalti.data import CropSettings
from smalti.errors import SmaltiError
from smalti.files import read_json_lines
from smalti.model_folder import ModelFolder
from smalti.pixels import to_image
from smalti.report import training_curve
from smalti.training import HeldOutLoss

_SECONDS = 4
_GRIDS = 12  # the newest


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there is to see of a run."""

    figures: str
    curve: Image.Image | None
    grids: list[tuple[Image.Image, str]]
    """Sample grids and after how many images, the newest first."""


def has_run(folder: ModelFolder) -> bool:
    """Whether there is a run to look at."""
    return folder.generator.metrics.is_file() or bool(folder.sample_grids)


def tab(folder: ModelFolder) -> None:
    """Lay it out."""
    first = seen_of(folder)
    before = gr.State(mark_of(folder))
    told = gr.HTML(first.figures, elem_id="training")
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            curve = gr.Image(
                first.curve,
                show_label=False,
                elem_id="curve",
                format="png",
                interactive=False,
                buttons=["fullscreen"],
            )
            note(
                "Loss against images seen, and samples, always of the same noise. Read every few seconds; the other "
                "tabs keep the weights of when the page was started, which the head of the page names by their images."
            )
        with gr.Column(scale=1, min_width=320):
            grids = gr.Gallery(
                first.grids,
                show_label=False,
                elem_id="grids",
                columns=2,
                height=520,
                object_fit="contain",
                format="png",
                elem_classes="crisp",
                buttons=["download", "fullscreen"],
            )

    def look(before: list[Any]) -> list[Any]:
        now = mark_of(folder)
        if now == before:
            return [gr.skip()] * 4
        seen = seen_of(folder)
        return [now, seen.figures, seen.curve, seen.grids]

    wire(gr.Timer(_SECONDS).tick, look, before, [before, told, curve, grids], quick=True)


def mark_of(folder: ModelFolder) -> list[int]:
    """Changes when something new is written."""
    metrics = folder.generator.metrics
    return [metrics.stat().st_size if metrics.is_file() else 0, *folder.sample_grids]


def seen_of(folder: ModelFolder) -> Seen:
    """What there is to see of a run now."""
    lines = [line for line in read_json_lines(folder.generator.metrics) if {"images", "loss"} <= line.keys()]
    grids = []
    for image, path in list(reversed(folder.sample_grids.items()))[:_GRIDS]:
        with suppress(SmaltiError):  # one that is being written
            grids.append((to_image(opened(path, CropSettings())), f"after {image:,} images"))
    if not lines:
        return Seen(figures=figures([("nothing yet", "losses")]), curve=None, grids=grids)
    last, held = lines[-1], HeldOutLoss.of(lines)
    told = [
        (f"{last['images']:,}", "images seen"),
        (f"{last['loss']:.4g}", "loss"),
        *([(f"{held.loss[-1]:.4g}", "loss on photos held out")] if held.loss else []),
        *([(f"{last['images_per_second']:.3g}", "images a second")] if "images_per_second" in last else []),
    ]
    return Seen(figures=figures(told), curve=training_curve(folder.generator.metrics), grids=grids)
