"""Paint: a photo filled in where it is painted over, extended, or varied."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from jaxtyping import Bool, Integer
from PIL import Image
from torch import Tensor

from smalti.app.look import note
from smalti.app.shared import Asked, Controls, crisp, opened, path_of, watched, wire
from smalti.data import CropSettings
from smalti.errors import SmaltiError
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline, inpaint, outpaint, vary
from smalti.pixels import GREY_LEVELS, to_image
from smalti.recipes import crop_of, shown_pictures
from smalti.sizes import nearest_size

_COUNT = 4
_CANVAS = 480  # pixels of the longer side
_BRUSH = "#b9562f"
_PAINTED = 0.94 * GREY_LEVELS  # what is darker than this on white is painted, the edge of the brush included


def tab(pipe: SmaltiPipeline, folder: ModelFolder) -> None:
    """Lay it out, for photos that are cropped as those of the model in a folder were."""
    photo, layers = gr.State(), gr.State([])
    height, width = pipe.size
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            with gr.Row():
                chosen = gr.UploadButton("Choose a photo", file_types=["image"], elem_id="paint-upload")
                own = gr.Button("One of the model's")
            note("Choose a photo first. To have it filled in, paint over what is to be made anew.")
            editor = gr.ImageEditor(
                show_label=False,
                sources=(),
                transforms=(),
                brush=gr.Brush(colors=[_BRUSH], color_mode="fixed", default_size=36),
                layers=False,
                canvas_size=_canvas(height, width),
                fixed_canvas=not pipe.sizes,  # else it takes the shape of each photo
                height=_CANVAS + 90,
                format="png",
                buttons=[],
                elem_id="canvas",
                elem_classes=crisp(pipe.size),
            )
        with gr.Column(scale=1, min_width=320):
            with gr.Tabs():
                with gr.Tab("Fill in"):
                    strength = gr.Slider(
                        *(0.05, 1, 1),
                        step=0.05,
                        label="Strength",
                        info="1 makes it anew; less keeps to what is there.",
                    )
                    fill = gr.Button("Fill in what is painted", variant="primary", size="lg")
                with gr.Tab("Extend"):
                    with gr.Row():
                        down = gr.Slider(0, height, height // 2, step=1, label="Above and below")
                        across = gr.Slider(0, width, width // 2, step=1, label="Left and right")
                    extend = gr.Button("Extend the photo", variant="primary", size="lg")
                with gr.Tab("Vary"):
                    noise = gr.Slider(
                        *(0, 1, 0.5), step=0.05, label="Strength", info="0 is as the codec keeps it, 1 another picture."
                    )
                    change = gr.Button("Vary the photo", variant="primary", size="lg")
            with gr.Accordion("How it is sampled", open=False):
                controls = Controls.of(pipe, count=_COUNT)
            gallery = gr.Gallery(
                columns=2,
                height=620,
                object_fit="contain",
                format="png",
                show_label=False,
                elem_id="painted",
                elem_classes=crisp(pipe.size),
                buttons=["download", "fullscreen"],
            )

    def take(payload: Mapping[str, Any] | None) -> list[Any]:
        return _on_canvas(taken(pipe, folder, path_of(payload)))

    def take_own(given: Mapping[Any, Any], progress: gr.Progress = gr.Progress()) -> list[Any]:
        asked = controls.read(given, pipe)
        one = Asked(settings=asked.settings, count=1, labels=asked.labels and asked.labels[:1])
        with watched(pipe, progress):
            (made,) = next(pipe.stream(one.count, one.settings, labels=one.labels))
        return _on_canvas(made)

    def painted(payload: Mapping[str, Any] | None) -> list[Path]:
        return [path_of(layer) for layer in (payload or {}).get("layers") or []]

    def filled(given: Mapping[Any, Any], progress: gr.Progress = gr.Progress()) -> list[Image.Image]:
        with watched(pipe, progress):
            return filled_in(pipe, given[photo], given[layers], controls.read(given, pipe), given[strength])

    def wider(given: Mapping[Any, Any], progress: gr.Progress = gr.Progress()) -> list[Image.Image]:
        margin = (int(given[down]), int(given[across]))
        with watched(pipe, progress):
            return extended(pipe, given[photo], margin, controls.read(given, pipe))

    def other(given: Mapping[Any, Any], progress: gr.Progress = gr.Progress()) -> list[Image.Image]:
        with watched(pipe, progress):
            return varied(pipe, given[photo], given[noise], controls.read(given, pipe))

    asked = controls.components | {photo}
    wire(chosen.upload, take, chosen, [photo, editor], uploaded=True)
    wire(own.click, take_own, controls.components, [photo, editor])
    brushed = wire(fill.click, painted, editor, layers, uploaded=True)
    wire(brushed.success, filled, asked | {layers, strength}, gallery, show_progress_on=gallery)
    wire(extend.click, wider, asked | {down, across}, gallery, show_progress_on=gallery)
    wire(change.click, other, asked | {noise}, gallery, show_progress_on=gallery)


def taken(pipe: SmaltiPipeline, folder: ModelFolder, path: Path) -> Integer[Tensor, "C H W"]:
    """An uploaded photo, cropped as those of the model were; of several sizes to that nearest to its shape.

    Raises:
        SmaltiError: it cannot be decoded.
    """
    size = pipe.size
    if pipe.sizes:
        height, width = opened(path, CropSettings()).shape[1:]
        size = nearest_size((height, width), list(pipe.sizes))
    return opened(path, crop_of(pipe, folder, size))


def filled_in(
    pipe: SmaltiPipeline,
    photo: Integer[Tensor, "C H W"] | None,
    layers: Sequence[Path],
    asked: Asked,
    strength: int | float,
) -> list[Image.Image]:
    """A photo with what is painted over in any layer made anew.

    Raises:
        SmaltiError: there is no photo, nothing is painted, or as `inpaint` does.
    """
    known = _given(photo)
    mask = mask_of(layers, (known.shape[1], known.shape[2]))
    if not mask.any():
        raise SmaltiError("nothing is painted over; paint what is to be made anew.")
    settings, labels = asked.settings, asked.labels
    return _all(pipe, inpaint(pipe, known, mask, asked.count, settings, strength=float(strength), labels=labels))


def extended(
    pipe: SmaltiPipeline, photo: Integer[Tensor, "C H W"] | None, margin: tuple[int, int], asked: Asked
) -> list[Image.Image]:
    """A photo with what may lie around it.

    Raises:
        SmaltiError: there is no photo, or as `outpaint` does.
    """
    return _all(pipe, outpaint(pipe, _given(photo), margin, asked.count, asked.settings, labels=asked.labels))


def varied(
    pipe: SmaltiPipeline, photo: Integer[Tensor, "C H W"] | None, strength: int | float, asked: Asked
) -> list[Image.Image]:
    """Variations of a photo.

    Raises:
        SmaltiError: there is no photo, or as `vary` does.
    """
    return _all(pipe, vary(pipe, _given(photo), float(strength), asked.count, asked.settings, labels=asked.labels))


def mask_of(layers: Sequence[Path], size: tuple[int, int]) -> Bool[Tensor, "H W"]:
    """The pixels of a photo of a size that are painted over in any layer: the file that the browser makes of it.

    Raises:
        SmaltiError: a layer cannot be decoded.
    """
    mask = torch.zeros(size, dtype=torch.bool)
    settings = CropSettings(size=size, crop="stretch", mode="L")
    for layer in layers:
        mask |= opened(layer, settings)[0] < _PAINTED
    return mask


def _on_canvas(photo: Integer[Tensor, "C H W"]) -> list[Any]:
    """The photo itself, and as large as it is painted on."""
    size = _canvas(*photo.shape[1:])
    resampling = Image.Resampling.NEAREST if crisp(photo.shape[1:]) else Image.Resampling.BICUBIC
    return [photo, to_image(photo).convert("RGB").resize(size, resampling)]


def _canvas(height: int, width: int) -> tuple[int, int]:
    """Width and height of the canvas for a photo."""
    return round(_CANVAS * width / max(height, width)), round(_CANVAS * height / max(height, width))


def _given(photo: Integer[Tensor, "C H W"] | None) -> Integer[Tensor, "C H W"]:
    if photo is None:
        raise SmaltiError("there is no photo yet; choose one, or one of the model's.")
    return photo


def _all(pipe: SmaltiPipeline, made: Iterator[Integer[Tensor, "B C H W"]]) -> list[Image.Image]:
    return [to_image(picture) for picture in shown_pictures(pipe, made)]
