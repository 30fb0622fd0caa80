"""How much of a photo is kept at which rate: our codecs, JPEG, WebP and AVIF, and learned autoencoders given by path.

    python benchmarks/rate_distortion.py IMAGES [--codecs photo-high FOLDER ...] [--peers VQMODEL_FOLDER ...]

IMAGES: photos that no codec was fitted on. Ours have a rate of their own, counted as fixed-length codes of whole
patches, those that stand over an edge included; beside it stands what `smalti compress` writes, entropy-coded. The file
formats get as many bytes for each photo as our fixed-length codes take (the best quality that fits, headers counted).
A peer is the folder of a `diffusers` VQModel or AutoencoderTiny; an index of the former counts log2 of its codebook's
size, a latent value of the latter 8 bits.

Where baboon.png, peppers.png and lenna.png are measured, the paper's rows for the VQ-f4 and VQ-f8 autoencoders of
latent diffusion (its Table 1, in `paper.json`) stand beside ours.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import tyro
from diffusers import AutoencoderTiny, VQModel
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from _table import PAPER, RESULTS, finish
from smalti import (
    Codec,
    CodecSpec,
    bundled_codecs,
    open_images,
    psnr,
    read_compressed,
    ssim,
    to_image,
    write_compressed,
)
from smalti.codec import pad_to_patches
from smalti.metrics import ms_ssim
from smalti.report import drawn

FORMATS = {"JPEG": {}, "WEBP": {"method": 6}, "AVIF": {"speed": 4}}
SHOWN = 4  # photos that get a column of their own


@dataclass(frozen=True)
class Point:
    """One codec at one rate, over all photos: bits a pixel, and each photo's figures."""

    family: str
    name: str
    rate: float
    psnr: list[float]
    ssim: list[float]
    ms_ssim: list[float]
    coded_rate: float | None = None


def measured(family: str, name: str, rate: float, photos: list[Tensor], decoded: list[Tensor], **more: Any) -> Point:
    pairs = list(zip(photos, decoded, strict=True))
    return Point(
        family,
        name,
        rate,
        [psnr(x, y) for x, y in pairs],
        [ssim(x, y) for x, y in pairs],
        [ms_ssim(x, y) for x, y in pairs],
        **more,
    )


def fixed_length(spec: CodecSpec, photo: Tensor) -> int:
    """Bits of a photo's code without an entropy coder."""
    rows, columns = spec.grid(photo.shape[1], photo.shape[2])
    return sum(spec.bits) * rows * columns


def rate_of(bits: list[int], photos: list[Tensor]) -> float:
    """Bits a pixel over all photos."""
    return sum(bits) / sum(photo.shape[1] * photo.shape[2] for photo in photos)


def ours(name: str, photos: list[Tensor], rounds: int) -> tuple[Point, list[int]]:
    """One of our codecs: fixed-length rate, and the rate of the compressed files; and each photo's bits."""
    codec = Codec.from_pretrained(name)
    decoded, coded = [], []
    with TemporaryDirectory() as folder:
        for photo in tqdm(photos, desc=name, leave=False):
            path = Path(folder) / "photo.smalti"
            coded.append(8 * write_compressed(path, photo, codec, rounds=rounds))
            decoded.append(read_compressed(path, codec))
    bits = [fixed_length(codec.spec, photo) for photo in photos]
    label = f"{Path(name).name} ({codec.spec})"
    coded_rate = rate_of(coded, photos)
    return measured("smalti", label, rate_of(bits, photos), photos, decoded, coded_rate=coded_rate), bits


def file_format(kind: str, limits: list[int], photos: list[Tensor]) -> Point:
    """JPEG, WebP or AVIF with at most so many bits for each photo."""
    decoded, spent = [], []
    for photo, limit in tqdm(list(zip(photos, limits, strict=True)), desc=kind, leave=False):
        content = best_that_fits(photo, kind, limit // 8)
        decoded.append(torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("RGB"))).permute(2, 0, 1))
        spent.append(8 * len(content))
    return measured(kind, f"{kind} at {rate_of(limits, photos):.3g}", rate_of(spent, photos), photos, decoded)


def best_that_fits(photo: Tensor, kind: str, limit: int) -> bytes:
    """The file of the highest quality of at most `limit` bytes (the smallest there is, where none fits)."""

    def written(quality: int) -> bytes:
        buffer = io.BytesIO()
        optimize = {"optimize": True} if kind == "JPEG" else {}
        to_image(photo).save(buffer, kind, quality=quality, **optimize, **FORMATS[kind])
        return buffer.getvalue()

    low, high, best = 1, 100, written(1)
    while low <= high:
        quality = (low + high) // 2
        content = written(quality)
        if len(content) <= limit:
            low, best = quality + 1, content
        else:
            high = quality - 1
    return best


def peer(folder: Path, photos: list[Tensor]) -> Point:
    """A learned autoencoder of diffusers, from its folder."""
    kind = json.loads((folder / "config.json").read_text())["_class_name"]
    model: Any = {"VQModel": VQModel, "AutoencoderTiny": AutoencoderTiny}[kind].from_pretrained(folder)
    model.eval()
    decode: Callable[[Tensor], Tensor] = vq_round_trip(model) if kind == "VQModel" else tiny_round_trip(model)
    stride = 2 ** (len(model.config.get("block_out_channels") or model.config["encoder_block_out_channels"]) - 1)
    bits = log2(model.config["num_vq_embeddings"]) if kind == "VQModel" else 8 * model.config["latent_channels"]
    decoded, spent = [], []
    for photo in tqdm(photos, desc=folder.name, leave=False):
        x = pad_to_patches(photo[None], stride).float() / 127.5 - 1
        spent.append(round(bits * x[0, 0].numel() / stride**2))
        with torch.inference_mode():
            pixels = ((decode(x) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        decoded.append(pixels[0, :, : photo.shape[1], : photo.shape[2]])
    return measured("learned", folder.name, rate_of(spent, photos), photos, decoded)


def vq_round_trip(model: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: model.decode(model.encode(x).latents).sample


def tiny_round_trip(model: Any) -> Callable[[Tensor], Tensor]:
    def round_trip(x: Tensor) -> Tensor:
        latents = model.unscale_latents((model.scale_latents(model.encode(x).latents) * 255).round() / 255)
        return model.decode(latents).sample

    return round_trip


def paper_rows(names: list[str]) -> list[Point]:
    if not {"baboon", "peppers", "lenna"} <= set(names) or len(names) != 3:
        return []
    return [
        Point(
            "paper",
            f"{name} (paper)",
            found["bits a pixel"],
            [found[photo]["psnr"] for photo in names],
            [found[photo]["ssim"] for photo in names],
            [float("nan")] * 3,
        )
        for name, found in PAPER["autoencoders of table 1"].items()
    ]


def plot(points: list[Point], path: Path) -> None:
    """Mean PSNR, SSIM and MS-SSIM against the rate."""
    figure = Figure(figsize=(13, 4), dpi=110, layout="constrained")
    for axis, measure in zip(figure.subplots(1, 3), ("psnr", "ssim", "ms_ssim"), strict=True):
        for family in dict.fromkeys(point.family for point in points):
            line = sorted((point.rate, np.mean(getattr(point, measure))) for point in points if point.family == family)
            style = "o-" if family in (*FORMATS, "smalti") else "x"
            axis.plot(*zip(*line, strict=True), style, label=family, linewidth=2 if family == "smalti" else 1)
        axis.set_xlabel("bits a pixel")
        axis.set_ylabel({"psnr": "PSNR, dB", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}[measure])
        axis.grid(alpha=0.3)
        axis.legend()
    drawn(figure).save(path)


def row(point: Point) -> list[str]:
    coded = "" if point.coded_rate is None else f"{point.coded_rate:.3f}"
    return [point.name, f"{point.rate:.3f}", coded] + [
        "nan" if np.isnan(values).any() else cell(values, digits)
        for values, digits in ((point.psnr, 2), (point.ssim, 3), (point.ms_ssim, 4))
    ]


def cell(values: list[float], digits: int) -> str:
    shown = " / ".join(f"{value:.{digits}f}" for value in values)
    return shown if len(values) <= SHOWN else f"{np.mean(values):.{digits}f} (worst {np.min(values):.{digits}f})"


def rate_distortion(
    images: Path,
    /,
    *,
    codecs: tuple[str, ...] = (),
    peers: tuple[Path, ...] = (),
    rounds: int = 2,
    name: str = "rate_distortion",
) -> None:
    """Measure codecs on `images`; write `results/NAME.json` and `results/NAME.png`.

    Args:
        images: photos that no codec was fitted on.
        codecs: names of bundled codecs, or folders that `smalti fit` wrote; all bundled ones when left out.
        peers: folders of learned autoencoders.
        rounds: times that our codes are chosen again by what a deblocker makes of them.
        name: of the results.
    """
    pictures = list(open_images(images).pictures())
    photos, names = [picture.pixels for picture in pictures], [Path(picture.name).stem for picture in pictures]
    coded = [ours(codec, photos, rounds) for codec in codecs or bundled_codecs()]
    points = [point for point, _ in coded]
    limits = sorted({tuple(bits) for _, bits in coded})
    points += [file_format(kind, list(each), photos) for kind in FORMATS for each in limits]
    points += [peer(folder, photos) for folder in peers] + paper_rows(names)
    print(f"photos: {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}")
    headers = ["codec", "bpp", "bpp, entropy-coded", "PSNR, dB", "SSIM", "MS-SSIM"]
    finish(
        name,
        headers,
        [row(point) for point in points],
        photos=names,
        rounds=rounds,
        points=[asdict(point) for point in points],
    )
    picture = RESULTS / f"{name}.png"
    plot(points, picture)
    print(f"\n{picture}: the plot")


if __name__ == "__main__":
    tyro.cli(rate_distortion)
