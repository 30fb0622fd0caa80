"""Make the codecs that come with the package, on Kodak and on photos that scikit-image and scikit-learn ship.

    python tools/fit_bundled.py KODAK --test standard=FOLDER --test bsds=FOLDER

Each is written to `src/smalti/codec/bundled/NAME`, with its figures on the test photos, none of which it was fitted on.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from skimage import data as skimage_data
from sklearn.datasets import load_sample_images
from torch import Tensor

from smalti import Codec, DeblockerSettings, codec_quality, open_images, train_deblocker
from smalti.digests import seal
from smalti.files import read_json, record, write_json
from smalti.model_folder import WEIGHTS
from smalti.recipes import codec_figures
from smalti.records import to_record

BUNDLED = Path(__file__).parents[1] / "src/smalti/codec/bundled"
SPECS = {
    "photo-low": ("LSQ-36@6-10@5-10@5/16", "small files and coarse latents"),
    "photo-medium": ("LSQ-60@6-18@6-18@6/16", "the middle: half the bits of `photo-high`, 1.5 dB less"),
    "photo-high": ("LSQ-28@7-12@6-12@6", "the finest, and the default of `smalti compress`"),
}
PATCHES = 300_000
BEAM = 32  # of encoding; fitting is content with the usual one
TEST_PHOTOS = 32  # of a folder, at most
PHOTOS = """\
- The 24 photos of the Kodak Lossless True Color Image Suite, released by Eastman Kodak for unrestricted use.
- From scikit-image: `astronaut` (NASA, public domain), `chelsea`, `coffee` and `rocket` (CC0).
- From scikit-learn: `china.jpg` by danielbuechele and `flower.jpg` by vultilion (both CC BY 2.0)."""
CARD = """\
---
license: apache-2.0
library_name: smalti
---

# {name}

A codec of [Smalti](../../../../../README.md) for colour photos: `{spec}`, {bits:g} bits for each patch of
{patch}x{patch} pixels, {rate:.3g} bits a pixel, with a convolutional deblocker of {parameters:,} parameters.
For {purpose}.

```python
from smalti import Codec

codec = Codec.from_pretrained("{name}")
```

## Figures

Mean PSNR and SSIM of decoded photos, fixed-length codes; `rounds=2` chooses codes again by what the deblocker makes of
them (`codec.encode(x, rounds=2)`). No photo of these was fitted on.

| photos | plain codewords | with the deblocker | and rounds=2 |
|---|---|---|---|
{rows}

## Fitted on

{photos}

Codebooks: {patches:,} patches, {fit_seconds:.0f} seconds. Deblocker: {crops:,} crops of {side}x{side} pixels,
{train_minutes:.0f} minutes on {threads} of a CPU, seed {seed}. Made by `tools/fit_bundled.py`. Photos only: drawings,
text and medical images will come out worse than with a codec of their own, which `smalti fit` makes in minutes.
"""


def photos(kodak: Path) -> list[Tensor]:
    shipped = (getattr(skimage_data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket"))
    packaged = [*shipped, *load_sample_images().images]
    return [*open_images(kodak), *(torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in packaged)]


def make(name: str, images: list[Tensor], settings: DeblockerSettings, seed: int) -> None:
    """Fit and train a codec, and write it with what it took."""
    spec, _ = SPECS[name]
    begun = time.monotonic()
    codec = Codec.fit(images, spec, patches=PATCHES, seed=seed)
    codec.codebooks.copy_(codec.codebooks.half().float())  # as they will be stored
    fit_seconds = time.monotonic() - begun
    codec.beam = BEAM
    codec.register_to_config(beam=BEAM)
    begun = time.monotonic()
    train_deblocker(codec, images, settings, seed=seed)
    train_seconds = time.monotonic() - begun
    out = BUNDLED / name
    shutil.rmtree(out, ignore_errors=True)
    codec.save_pretrained(out)
    weights = out / WEIGHTS
    save_file({key: value if key == "usage" else value.half() for key, value in load_file(weights).items()}, weights)
    seal(out, ["config.json", WEIGHTS])
    codec = Codec.from_pretrained(out)
    write_json(
        out / "fit.json",
        record(
            settings={"codec": spec, "patches": PATCHES, "network": to_record(settings), "seed": seed},
            images=len(images),
            seconds={"codebooks": fit_seconds, "deblocker": train_seconds},
            threads=torch.get_num_threads(),
            **codec_figures(codec),
        ),
    )


def describe(name: str, tests: dict[str, Path]) -> None:
    """Measure a codec that was made, and write its card."""
    out = BUNDLED / name
    codec, fitted = Codec.from_pretrained(out), read_json(out / "fit.json")
    rows = []
    for test, path in tests.items():
        photos = list(open_images(path).sample(TEST_PHOTOS))
        plain = Codec.from_pretrained(out)
        plain.add_deblocker("none")
        found = [codec_quality(photos, plain), *(codec_quality(photos, codec, rounds=rounds) for rounds in (0, 2))]
        rows.append(f"| {test} ({len(photos)}) | {' | '.join(map(str, found))} |")
        fitted.setdefault("figures", {})[test] = [quality.figures for quality in found]
    write_json(out / "fit.json", fitted)
    network = fitted["settings"]["network"]
    card = CARD.format(
        name=name,
        spec=codec.spec,
        purpose=SPECS[name][1],
        bits=sum(codec.spec.bits),
        rate=codec.bits_per_pixel,
        patch=codec.spec.patch,
        parameters=sum(p.numel() for p in codec.deblocker.parameters()),
        rows="\n".join(rows),
        photos=PHOTOS,
        patches=fitted["settings"]["patches"],
        fit_seconds=fitted["seconds"]["codebooks"],
        train_minutes=fitted["seconds"]["deblocker"] / 60,
        crops=network["crops"],
        side=network["crop_side"],
        threads="one core" if fitted["threads"] == 1 else f"{fitted['threads']} cores",
        seed=fitted["settings"]["seed"],
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    print(card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kodak", type=Path, help="folder of the 24 Kodak photos")
    parser.add_argument("--test", action="append", default=[], help="NAME=FOLDER of photos to measure on")
    parser.add_argument("--only", choices=SPECS, help="make this one alone")
    parser.add_argument("--describe", action="store_true", help="measure what was made before, and write its card")
    parser.add_argument("--width", type=int, default=48, help="channels of the deblocker")
    parser.add_argument("--crops", type=int, default=48_000, help="crops to train it on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tests = {name: Path(path) for name, path in (test.split("=") for test in options.test)}
    settings = DeblockerSettings(network_width=options.width, crops=options.crops)
    for name in [options.only] if options.only else SPECS:
        if not options.describe:
            make(name, photos(options.kodak), settings, options.seed)
        describe(name, tests)


if __name__ == "__main__":
    main()
