"""Mosaic: a photo as tiles, each a few indices, which can be moved up and down."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from smalti.app import tiles
from smalti.app.look import note
from smalti.app.shared import opened, path_of, wire
from smalti.app.tiles import Mosaic
from smalti.codec import Codec
from smalti.data import CropSettings
from smalti.sizes import told_size

Codecs = Mapping[str, Callable[[], Codec]]


def tab(codecs: Codecs, example: Path) -> None:
    """Lay it out, with an example to begin with."""
    begun = laid(codecs, next(iter(codecs)), example)
    first = shown(codecs, begun)
    photo, mosaic = gr.State(example), gr.State(begun)
    pictures = {"format": "png", "interactive": False, "elem_classes": ["crisp", "clicked"]}
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            view = gr.Image(
                first["view"], show_label=False, elem_id="mosaic", buttons=["download", "fullscreen"], **pictures
            )
            codec = gr.Dropdown(list(codecs), label="Codec", visible=len(codecs) > 1)
            with gr.Row():
                chosen = gr.UploadButton("Another photo", file_types=["image"], elem_id="mosaic-upload")
                back = gr.Button("As it was")
        with gr.Column(scale=2, min_width=320):
            told = note(first["told"], "tile")
            channel = gr.Radio(first["channels"], value=0, label="Its index in each codebook; choose one")
            index = gr.Slider(0, first["last"], begun.index, step=1, label="Move it", elem_id="tile-index")
            with gr.Row():
                lower, higher = gr.Button("− 1"), gr.Button("+ 1", elem_id="tile-up")  # noqa: RUF001
            everywhere = gr.Checkbox(label="Move those of all tiles by as much")
            note("Its neighbours in the codebook: each alone, and below it the tile with it.")
            strip = gr.Image(first["strip"], show_label=False, elem_id="strip", buttons=[], **pictures)
            with gr.Accordion("The whole codebook, in its order", open=False):
                codebook = gr.Image(first["codebook"], show_label=False, buttons=[], **pictures)
    views = [mosaic, view, told, channel, index, strip, codebook]

    def both(made: Mosaic) -> list[Any]:
        now = shown(codecs, made)
        channel = gr.Radio(choices=now["channels"], value=made.channel)
        index = gr.Slider(maximum=now["last"], value=made.index)
        return [made, now["view"], now["told"], channel, index, now["strip"], now["codebook"]]

    def take(payload: Mapping[str, Any] | None) -> Path:
        path = path_of(payload)
        opened(path, CropSettings())
        return path

    def lay(path: Path, name: str) -> list[Any]:
        return both(laid(codecs, name, path))

    def at(made: Mosaic, event: gr.SelectData) -> list[Any]:
        sheet, _ = tiles.tiles(made, codecs[made.codec]())
        return both(replace(made, place=divmod(sheet.at(*event.index), sheet.columns)))

    def look(made: Mosaic, channel: int) -> list[Any]:
        return both(replace(made, channel=channel))

    def to(made: Mosaic, index: int | float, everywhere: bool) -> list[Any]:
        return both(tiles.moved(made, codecs[made.codec](), int(index), everywhere=everywhere))

    def by(step: int) -> Callable[[Mosaic, bool], list[Any]]:
        return lambda made, everywhere: to(made, made.index + step, everywhere)

    def to_neighbour(made: Mosaic, everywhere: bool, event: gr.SelectData) -> list[Any]:
        own = codecs[made.codec]()
        indices = tiles.neighbours(made, own)
        return to(made, indices[tiles.strip_sheet(own).at(*event.index) % len(indices)], everywhere)

    def to_codeword(made: Mosaic, everywhere: bool, event: gr.SelectData) -> list[Any]:
        return to(made, tiles.codebook_sheet(codecs[made.codec](), made.channel).at(*event.index), everywhere)

    def undone(made: Mosaic) -> list[Any]:
        return both(replace(made, z=made.first))

    taken = wire(chosen.upload, take, chosen, photo, uploaded=True)
    wire(taken.success, lay, [photo, codec], views)
    wire(codec.input, lay, [photo, codec], views)
    wire(view.select, at, mosaic, views, quick=True)
    wire(channel.input, look, [mosaic, channel], views, quick=True)
    wire(index.release, to, [mosaic, index, everywhere], views, quick=True)
    wire(lower.click, by(-1), [mosaic, everywhere], views, quick=True)
    wire(higher.click, by(1), [mosaic, everywhere], views, quick=True)
    wire(strip.select, to_neighbour, [mosaic, everywhere], views, quick=True)
    wire(codebook.select, to_codeword, [mosaic, everywhere], views, quick=True)
    wire(back.click, undone, mosaic, views, quick=True)


def laid(codecs: Codecs, name: str, path: Path) -> Mosaic:
    """The photo in a file as a mosaic of a codec.

    Raises:
        SmaltiError: the photo cannot be read.
    """
    codec = codecs[name]()
    own = CropSettings(mode=codec.pixel_format.mode)
    _, height, width = opened(path, own).shape
    size = tiles.tiled_size(height, width, codec.spec.patch)
    return Mosaic.of(name, codec, opened(path, replace(own, size=size)))


def shown(codecs: Codecs, mosaic: Mosaic) -> dict[str, Any]:
    """What is shown of a mosaic, by the names of what shows it."""
    codec = codecs[mosaic.codec]()
    (row, column), (rows, columns), spec = mosaic.place, mosaic.z.shape[1:], codec.spec
    plain = codec.pixel_format.bits * spec.dimension
    return {
        "view": tiles.view(mosaic, codec),
        "told": f"Click a tile. This is row {row + 1}, column {column + 1} of {rows} x {columns}: "
        f"{told_size(spec.patch)} pixels in {len(spec.codewords)} indices, {sum(spec.bits)} bits instead of {plain:,}. "
        "Codebooks are sorted: neighbours look alike.",
        "channels": [(told, channel) for channel, told in enumerate(tiles.codes_told(mosaic, codec))],
        "last": spec.codewords[mosaic.channel] - 1,
        "strip": tiles.strip(mosaic, codec),
        "codebook": tiles.codebook(mosaic, codec),
    }
