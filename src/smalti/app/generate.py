"""Generate: pictures out of noise."""

from collections.abc import Mapping
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from smalti.app.shared import EACH_CLASS, Asked, Controls, crisp, scratch, watched, wire
from smalti.pipeline import SmaltiPipeline
from smalti.pixels import to_image
from smalti.recipes import shown_pictures
from smalti.report import grid

_COUNT = 16


def tab(pipe: SmaltiPipeline) -> None:
    """Lay it out."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            controls = Controls.of(pipe, count=_COUNT, label=EACH_CLASS)
            button = gr.Button("Generate", variant="primary", size="lg")
        with gr.Column(scale=3, min_width=320):
            gallery = gr.Gallery(
                columns=4,
                height=706,
                object_fit="contain",
                format="png",
                show_label=False,
                elem_id="generated",
                elem_classes=crisp(pipe.size),
                buttons=["download", "fullscreen"],
            )
            download = gr.DownloadButton("Download all as one grid", visible=False)

    def make(given: Mapping[Any, Any], progress: gr.Progress = gr.Progress()) -> tuple[Any, Any]:
        with watched(pipe, progress):
            pictures, sheet = generate(pipe, controls.read(given, pipe))
        return pictures, gr.DownloadButton(value=str(sheet), visible=True)

    wire(button.click, make, controls.components, [gallery, download], show_progress_on=gallery)


def generate(pipe: SmaltiPipeline, asked: Asked) -> tuple[list[tuple[Image.Image, str]], Path]:
    """Pictures with their classes, and a file with all of them in a grid.

    Raises:
        SmaltiError: as `SmaltiPipeline.latents` does.
    """
    pictures = shown_pictures(pipe, pipe.stream(asked.count, asked.settings, labels=asked.labels))
    sheet = scratch() / f"samples-seed{asked.settings.seed}.png"
    grid(pictures, columns=ceil(sqrt(asked.count))).save(sheet)
    names = [""] * asked.count if asked.labels is None else [pipe.classes[label] for label in asked.labels]
    return list(zip(map(to_image, pictures), names, strict=True)), sheet
