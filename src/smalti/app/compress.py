"""Compress: a photo as a small file, and what is lost on the way."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import Tensor

from smalti.app.look import figures
from smalti.app.shared import opened, path_of, scratch, wire
from smalti.codec import Codec
from smalti.codec.bundled import DEFAULT
from smalti.codec.compressed import SUFFIX
from smalti.data import CropSettings
from smalti.metrics import ssim
from smalti.pixels import CENTRE, GREY_LEVELS, to_image
from smalti.recipes import compress_picture
from smalti.sizes import told_size

_SHOWN = 1400  # pixels of the longer side
_TIMES = 4

Codecs = Mapping[str, Callable[[], Codec]]


def tab(codecs: Codecs, example: Path) -> None:
    """Lay it out, with an example to begin with."""
    path = gr.State(example)
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            photo = gr.Image(
                str(example), label="Photo", format="png", sources=["upload", "clipboard"], height=270, buttons=[]
            )
        with gr.Column(scale=1, min_width=300):
            codec = gr.Radio(list(codecs), value=DEFAULT, label="Codec")
            rounds = gr.Slider(*(0, 3, 1), step=1, label="Rounds", info="Codes are chosen again: finer, and slower.")
            with gr.Row():
                button = gr.Button("Compress", variant="primary", size="lg")
                download = gr.DownloadButton("Download the file", interactive=False, size="lg")
            told = gr.HTML()
    with gr.Row():
        compared = gr.ImageSlider(label="Original and decoded", format="png", interactive=False, elem_id="compared")
        off = gr.Image(
            label=f"The difference, {_TIMES} times as strong", format="png", interactive=False, buttons=["fullscreen"]
        )

    def take(payload: Mapping[str, Any] | None) -> tuple[Path, Image.Image]:
        chosen = path_of(payload)
        return chosen, _preview(opened(chosen, CropSettings()))

    def run(photo: Path | None, name: str, rounds: int | float) -> list[Any]:
        made = compressed(path_of({"path": photo}), codecs[name](), int(rounds))
        return [made["figures"], made["pair"], made["off"], gr.DownloadButton(value=made["file"], interactive=True)]

    taken = wire(photo.upload, take, photo, [path, photo], uploaded=True)
    for event in (taken.failure, photo.clear):
        wire(event, _nothing, None, [path, photo], quick=True)
    wire(button.click, run, [path, codec, rounds], [told, compared, off, download], show_progress_on=compared)


def compressed(path: Path, codec: Codec, rounds: int) -> dict[str, Any]:
    """A photo compressed into a file: that, the figures, original and decoded, and the difference.

    Raises:
        SmaltiError: the photo cannot be read.
    """
    pixels = opened(path, CropSettings(mode=codec.pixel_format.mode))
    file = scratch() / f"{path.stem}{SUFFIX}"
    found, decoded = compress_picture(pixels, file, codec, rounds=rounds)
    height, width = pixels.shape[1:]
    return {
        "file": str(file),
        "figures": figures(
            [
                (f"{found['psnr']:.2f} dB", "PSNR"),
                (f"{ssim(pixels, decoded):.3f}", "SSIM"),
                (f"{codec.bits_per_pixel:.3f}", "bits a pixel, plain codes"),
                (f"{found['bits_per_pixel']:.3f}", "bits a pixel in the file, entropy-coded"),
                (f"{found['bytes']:,} bytes", f"for {told_size((height, width))} pixels"),
                (f"1 : {codec.pixel_format.bits / found['bits_per_pixel']:.0f}", "of what the pixels take"),
            ]
        ),
        "pair": (_preview(pixels), _preview(decoded)),
        "off": _preview(difference(pixels, decoded)),
    }


def difference(pixels: UInt8[Tensor, "C H W"], decoded: UInt8[Tensor, "C H W"]) -> UInt8[Tensor, "C H W"]:
    """What was added to pixels, several times as strong, around a middle grey."""
    return (CENTRE + _TIMES * (decoded.float() - pixels.float())).round().clamp(0, GREY_LEVELS).to(torch.uint8)


def _preview(pixels: Integer[Tensor, "C H W"]) -> Image.Image:
    """As large as is looked at on a page."""
    image = to_image(pixels)
    image.thumbnail((_SHOWN, _SHOWN))
    return image


def _nothing() -> tuple[None, None]:
    return None, None
