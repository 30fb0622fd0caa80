"""`demo`: a generator of handwritten digits, and codecs on photos, from what installed packages ship."""

from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from skimage import data as skimage_data
from sklearn.datasets import load_digits, load_sample_images
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC
from torch import Tensor

from smalti.codec import Codec, CodecSpec
from smalti.data import open_images
from smalti.encoding import encode_images
from smalti.files import new_folder, write_record
from smalti.metrics import psnr, ssim
from smalti.pixels import GREY_LEVELS
from smalti.progress import Progress
from smalti.recipes.samples import samples
from smalti.report import Cell, Page, Tile, grid, side_by_side
from smalti.sizes import told_size
from smalti.training import GeneratorSettings, TrainSettings, train_generator

_DIGIT_CODEC = "OPQ-32/8"  # a grid of 4x4: a training step takes a third of what it does with patches of 4
_DIGIT_SIZE = 32
_CALLS = 25  # of the network, a digit
_HELD_OUT = 297
_PHOTO_CODECS = ("VQ-8-8-8", "PQ-32-8-8", "OPQ-32-8-8", "RQ-32-8-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoSettings:
    """How long the demo takes."""

    images: int = 40_000
    """Digits to train on, counted with repetition."""
    generated: int = 500
    """Digits to generate and have read by a classifier."""
    photo_patches: int = 60_000
    """Patches to fit the photo codecs on."""
    seed: int = 0
    """Everything random follows from this."""


def demo(out: str | Path, settings: DemoSettings = DemoSettings(), *, device: str | None = None) -> dict[str, Any]:
    """Write `samples.png`, `codecs.png`, `report.html`, `report.json` and the model `digits/`; return the figures.

    Raises:
        SmaltiError: `out` is not empty.
    """
    out = Path(out)
    began = perf_counter()
    print(f"{out}: a generator of handwritten digits, then codecs on photos; some minutes in all")
    with new_folder(out) as aside:
        figures = _digits(aside, settings, device)
        photos = _photos(aside, settings)
        seconds = round(perf_counter() - began, 1)
        content = {"settings": asdict(settings), "seconds": seconds, **figures, "photos": photos}
        write_record(aside / "report.json", **content)
        _write_page(figures, photos, content, aside)
    print(
        f"{out / 'report.html'}: {figures['digits_accuracy']:.1%} of {settings.generated} generated digits are read as "
        f"asked (decoded real ones: {figures['decoded_accuracy']:.1%})"
    )
    print(f"next: smalti create PHOTOS --out model, or smalti sample {out / 'digits'} --label 7 --out sevens")
    return content


def _digits(out: Path, settings: DemoSettings, device: str | None) -> dict[str, Any]:
    """scikit-learn's digits, 8x8, enlarged to 32x32: codec, training, samples, and what a classifier reads in them."""
    pixels, labels = _enlarged_digits()
    train, held, train_labels, held_labels = train_test_split(
        pixels, labels, test_size=_HELD_OUT, random_state=settings.seed, stratify=labels
    )
    _write_photos(train, train_labels, out / "photos")
    images = open_images(out / "photos", mode="L", size=_DIGIT_SIZE)
    codec = Codec.fit(images, _DIGIT_CODEC, seed=settings.seed)
    latents = encode_images(images, codec, out / "digits" / "latents", flips=False)
    pipe = train_generator(
        latents,
        out / "digits",
        GeneratorSettings(),
        TrainSettings(
            images=settings.images,
            warmup=min(3_200, settings.images // 10),
            ema_halflife=max(64, settings.images // 30),
            checkpoint_every=settings.images,
            seed=settings.seed,
        ),
        device=device,
        processes=None,
    )
    print(f"generating {settings.generated} digits")
    generated = torch.stack(samples(pipe, settings.generated, steps=_CALLS, seed=settings.seed))
    asked = np.arange(settings.generated) * 10 // settings.generated
    _digit_rows(generated, asked, out / "samples.png")

    reader = SVC(C=10, gamma=0.05).fit(_reduced(train), train_labels)
    decoded = codec.decode(codec.encode(held))
    neighbours = NearestNeighbors(n_neighbors=1).fit(train.flatten(1).numpy())
    return {
        "digits_accuracy": float(np.mean(reader.predict(_reduced(generated)) == asked)),
        "decoded_accuracy": float(np.mean(reader.predict(_reduced(decoded)) == held_labels)),
        "real_accuracy": float(np.mean(reader.predict(_reduced(held)) == held_labels)),
        "codec_psnr": psnr(held, decoded),
        "nearest_training": {
            "generated": _nearest(neighbours, generated),
            "held_out": _nearest(neighbours, held),
            "decoded_held_out": _nearest(neighbours, decoded),
        },
    }


def _enlarged_digits() -> tuple[UInt8[Tensor, "N 1 32 32"], np.ndarray]:
    digits: Any = load_digits()
    enlarged = [
        np.asarray(
            Image.fromarray((image * GREY_LEVELS / 16).round().astype(np.uint8)).resize(
                (_DIGIT_SIZE, _DIGIT_SIZE), Image.Resampling.BICUBIC
            )
        )
        for image in digits.images
    ]
    return torch.from_numpy(np.stack(enlarged))[:, None], digits.target


def _write_photos(pixels: UInt8[Tensor, "N 1 32 32"], labels: np.ndarray, folder: Path) -> None:
    """A folder of PNG with a sub-folder a class: what a newcomer's own photos look like."""
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        Image.fromarray(image[0].numpy()).save(folder / str(label) / f"{number:04d}.png")


def _reduced(pixels: UInt8[Tensor, "N 1 32 32"]) -> Float[np.ndarray, "N 64"]:
    """What the classifier sees: means of 4x4 pixels, in 0..1."""
    return torch.nn.functional.avg_pool2d(pixels.float(), 4).flatten(1).numpy() / GREY_LEVELS


def _nearest(neighbours: NearestNeighbors, pixels: UInt8[Tensor, "N 1 32 32"]) -> float:
    """Median distance to the nearest training image: root mean squared difference of pixels, in grey levels."""
    distances, _ = neighbours.kneighbors(pixels.flatten(1).numpy())
    return float(np.median(distances) / _DIGIT_SIZE)


def _digit_rows(generated: UInt8[Tensor, "N 1 32 32"], asked: np.ndarray, path: Path) -> None:
    """A row a digit, the first ten of each."""
    rows = [generated[np.flatnonzero(asked == digit)[:10]] for digit in range(10)]
    grid(torch.cat(rows), columns=min(map(len, rows)), scale=2).save(path)


def _photos(out: Path, settings: DemoSettings) -> list[dict[str, Any]]:
    """Photos through codecs that were fitted on other photos."""
    shown = {name: _pixels(getattr(skimage_data, name)()) for name in ("astronaut", "chelsea", "coffee")}
    others = [_pixels(image) for image in load_sample_images().images]  # pyright: ignore
    others += [_pixels(image) for image in (*skimage_data.stereo_motorcycle()[:2], skimage_data.rocket())]
    rows = {name: [Cell(image, f"{name}, 24 bpp")] for name, image in shown.items()}
    figures = []
    for spec in Progress(_PHOTO_CODECS, desc="photo codecs", unit="codec"):
        codec = Codec.fit(others, spec, patches=settings.photo_patches, seed=settings.seed, progress=False)
        for name, image in shown.items():
            decoded = codec.decode(codec.encode(image[None]), (image.shape[1], image.shape[2]))[0]
            figure = {
                "photo": name,
                "codec": spec,
                "bits_per_pixel": codec.bits_per_pixel,
                "psnr": psnr(image, decoded),
                "ssim": ssim(image, decoded),
            }
            caption = f"{spec}, {codec.bits_per_pixel:g} bpp\n{figure['psnr']:.2f} dB, SSIM {figure['ssim']:.3f}"
            rows[name].append(Cell(decoded, caption))
            figures.append(figure)
    side_by_side(list(rows.values())).save(out / "codecs.png")
    return figures


def _pixels(image: np.ndarray) -> UInt8[Tensor, "3 H W"]:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _write_page(figures: dict[str, Any], photos: list[dict[str, Any]], content: dict[str, Any], out: Path) -> None:
    near, asked, spec = figures["nearest_training"], content["settings"], CodecSpec.parse(_DIGIT_CODEC)
    page = Page(
        f"What Smalti does, in {content['seconds'] / 60:.1f} minutes",
        "A generator of handwritten digits and codecs on photos, from what scikit-learn and scikit-image ship",
    )
    page.tiles(
        [
            Tile("generated digits read as asked", f"{figures['digits_accuracy']:.1%}", f"of {asked['generated']}"),
            Tile("the ceiling", f"{figures['decoded_accuracy']:.1%}", "real digits, encoded and decoded"),
            Tile(
                "codec",
                f"{figures['codec_psnr']:.2f} dB",
                f"{_DIGIT_CODEC}: {told_size(spec.patch)} patches, {len(spec.codewords)} indices each",
            ),
        ]
    )
    page.heading("A generator of handwritten digits")
    page.picture(
        out / "samples.png",
        "A row a digit, as they came, none picked. Learned from 1,500 digits of scikit-learn, enlarged from 8x8 to "
        f"{_DIGIT_SIZE}x{_DIGIT_SIZE} pixels; the network saw {asked['images']:,} images.",
    )
    page.table(
        ["read as asked by a classifier trained on the real ones", "share"],
        [
            [f"{asked['generated']} generated digits, unguided", f"{figures['digits_accuracy']:.1%}"],
            [
                f"{_HELD_OUT} held-out real digits, encoded and decoded (the ceiling)",
                f"{figures['decoded_accuracy']:.1%}",
            ],
            ["the same, untouched", f"{figures['real_accuracy']:.1%}"],
        ],
    )
    page.table(
        ["median distance to the nearest training digit", "grey levels"],
        [
            ["generated", f"{near['generated']:.1f}"],
            ["held-out real, encoded and decoded", f"{near['decoded_held_out']:.1f}"],
            ["held-out real", f"{near['held_out']:.1f}"],
        ],
    )
    page.text(
        "Root mean squared difference of pixels. Generated digits much nearer to the training ones than held-out real "
        "ones are would be copies."
    )
    page.heading("Codecs on photos")
    page.picture(out / "codecs.png", "Fitted in seconds on other photos than these.")
    page.table(
        ["photo", "codec", "bits a pixel", "PSNR, dB", "SSIM"],
        [
            [row["photo"], row["codec"], f"{row['bits_per_pixel']:g}", f"{row['psnr']:.2f}", f"{row['ssim']:.3f}"]
            for row in photos
        ],
    )
    page.heading("Next")
    page.text("The same with your own photos, and sevens from the model above, in this folder:")
    page.command("smalti create PHOTOS --out model")
    page.command("smalti sample digits --label 7 --out sevens")
    page.write(out / "report.html")
