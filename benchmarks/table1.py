"""Table 1 of the paper: PSNR and SSIM of the codecs on Baboon, Peppers and Lenna, fitted on other images.

    python benchmarks/table1.py KODAK STANDARD

KODAK: the 24 Kodak photos. STANDARD: a folder with baboon.png, peppers.png and lenna.png.

The paper's PSNR is what `((a - b) ** 2).mean()` gives on uint8 arrays, where differences and squares wrap around at
256 - a strong inference, not a proof: no such figure can be under 24.06 dB, all of its codecs' are above, and computed
so ours agree. The column "wrapped" is that figure and serves the comparison alone; true PSNR stands beside it.
"""

from pathlib import Path

import numpy as np
import torch
import tyro

from _table import PAPER, finish
from smalti import Codec, open_images, psnr, ssim

IMAGES = ("baboon", "peppers", "lenna")


def wrapped_psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """PSNR in dB by arithmetic on uint8, as it comes out without a conversion."""
    difference = a.numpy() - b.numpy()
    return float(10 * np.log10(255**2 / (difference**2).mean()))


def table1(kodak: Path, standard: Path, /, *, seed: int = 0) -> None:
    """Fit each codec on `kodak`, measure it on `standard`."""
    fitting = list(open_images(kodak))
    photos = [next(iter(open_images(standard / f"{name}.png"))) for name in IMAGES]
    rows, off_ssim, off_wrapped = [], 0.0, 0.0
    for spec, paper in PAPER["table1"].items():
        codec = Codec.fit(fitting, spec, seed=seed)
        for name, photo in zip(IMAGES, photos, strict=True):
            decoded = codec.decode(codec.encode(photo[None]), (photo.shape[1], photo.shape[2]))[0]
            wrapped, true, similar = wrapped_psnr(photo, decoded), psnr(photo, decoded), ssim(photo, decoded)
            theirs = paper[name]
            off_ssim = max(off_ssim, abs(similar - theirs["ssim"]))
            off_wrapped = max(off_wrapped, abs(wrapped - theirs["psnr"]))
            rows.append(
                [spec, f"1:{codec.compression_ratio:g}", name]
                + [f"{value:.2f}" for value in (theirs["psnr"], wrapped, true, theirs["ssim"])]
                + [f"{similar:.3f}"]
            )
    headers = ["codec", "ratio", "image", "paper PSNR", "PSNR, wrapped", "true PSNR", "paper SSIM", "SSIM"]
    finish("table1", headers, rows, seed=seed, largest_ssim_difference=off_ssim, largest_wrapped_difference=off_wrapped)
    print(f"\nlargest difference from the paper: SSIM {off_ssim:.3f}, wrapped PSNR {off_wrapped:.2f} dB")


if __name__ == "__main__":
    tyro.cli(table1)
