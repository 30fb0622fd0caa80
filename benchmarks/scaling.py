"""What 10^6, 10^8 and 10^10 photos of 256x256 pixels take, from fitting to training; and the data side of a step.

    python benchmarks/scaling.py

What is measured here takes seconds: how much of a core a batch takes to make, how many operations an image takes, and
the memory that the list of the photos takes.
Speeds of decoding, encoding and fitting are those of `folder_speed.json`, of one core. The rest is arithmetic on
hardware that is named, written out in docs/scaling.md.
"""

import io
import tarfile
import tempfile
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import torch
import tyro
from PIL import Image
from skimage import data

from _speed import operations
from _table import RESULTS, finish
from smalti import CategoricalSettings, Codec, Latents, UNetSettings, encode_images, open_images
from smalti.files import read_json
from smalti.training import GeneratorSettings, LatentBatches, TrainSettings, begin_generator, generator_losses

SPEC, SIZE, BATCH, WIDTH = "OPQ-32-8-8", 256, 64, 192
SIZES = (128, SIZE)  # grids of 16x16 and 32x32
AMOUNTS = (10**6, 10**8, 10**10)

CORES = 64  # of a machine that encodes
MACHINES = {10**6: 1, 10**8: 10, 10**10: 100}
GPUS = {10**6: 1, 10**8: 8, 10**10: 256}
GPU = "H100 SXM"
PEAK = 989e12  # of its products of matrices in bfloat16, dense, operations a second
REACHED = 0.3  # share of that, assumed: nothing was measured on it
PHOTO_BYTES = 100e3  # of a JPEG, assumed
LABEL_BYTES = 8  # a latent, of its class
LISTED = 8_000  # photos in tars, for their list to be measured
FLIPS = 2  # latents an image


@dataclass(frozen=True)
class Measured:
    """One size of pictures."""

    row: dict[str, Any]
    operations: float


def measure(size: int, scratch: Path, steps: int) -> Measured:
    """The data side of a step, and the operations of an image."""
    photos = [torch.from_numpy(each.copy()).permute(2, 0, 1) for each in (data.astronaut(), data.coffee())]
    codec = Codec.fit(photos, SPEC, patches=4_000, progress=False)
    pictures = torch.stack([photo[:, :size, :size] for photo in photos]).repeat(BATCH // 2, 1, 1, 1)
    encode_images(open_images(pictures, size=size), codec, scratch / str(size), progress=False)
    latents = Latents(scratch / str(size))
    pipe = begin_generator(latents, GeneratorSettings(process=CategoricalSettings(), net=UNetSettings(width=WIDTH)))
    batches = LatentBatches(latents, pipe.process, TrainSettings())
    needed = operations(pipe.net, generator_losses(pipe.process, pipe.codec), batches(range(2)), pipe.device)
    seconds = _seconds(batches, steps)
    step = BATCH * needed / (REACHED * PEAK)
    grid = f"{latents.grid[0]}x{latents.grid[1]}x{len(codec.spec.codewords)}"
    row = {
        "latents": grid,
        "a batch, ms of a core": 1e3 * seconds,
        "operations an image": needed,
        f"a step of width {WIDTH} on one {GPU}, ms": 1e3 * step,
        "cores that keep up": seconds / step,
    }
    return Measured(row, needed)


def _seconds(batches: LatentBatches, steps: int) -> float:
    """Seconds of a core that a batch takes, whatever else the machine does."""
    batches(range(BATCH))
    began = process_time()
    for step in range(1, steps + 1):
        batches(range(step * BATCH, (step + 1) * BATCH))
    return (process_time() - began) / steps


def listed(scratch: Path) -> tuple[float, float]:
    """Bytes a photo of the list of the photos in tars, each with a class beside it: of all of it, and at most."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG")
    for first in range(0, LISTED, LISTED // 2):
        with tarfile.open(scratch / f"{first}.tar", "w") as tar:
            for number in range(first, first + LISTED // 2):
                for suffix, written in (("jpg", content.getvalue()), ("cls", str(number % 10).encode())):
                    member = tarfile.TarInfo(f"{number:09d}.{suffix}")
                    member.size = len(written)
                    tar.addfile(member, io.BytesIO(written))
    open_images(scratch / "0.tar")  # what is loaded once
    tracemalloc.start()
    images = open_images(scratch / "*.tar")
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / len(images), most / len(images)


def _told(seconds: float) -> str:
    for unit, length in (("years", 365 * 86_400), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} seconds"


def _bytes(count: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e6:.3g} MB"


def arithmetic(photos: int, needed: float, entry: tuple[float, float]) -> list[Any]:
    """One column of the table, by the formulae of docs/scaling.md."""
    folder = read_json(RESULTS / "folder_speed.json")
    speeds = {row["JPEGs to"]: row["photos/s"] / folder["cores"] for row in folder["table"]}
    larger = (SIZE / folder["size"]) ** 2
    read, coded = (speeds[way] / larger for way in ("decode and crop", SPEC))  # images a second and core
    flipped = 1 / (1 / coded + (FLIPS - 1) * (1 / coded - 1 / read))  # the mirrored one is coded, not read, again
    most, rows = 5_000, photos * FLIPS
    latent = (SIZE // 8) ** 2 * 6  # a byte a code
    return [
        f"{photos:.0e}".replace("e+0", "e").replace("e+", "e"),
        _told(folder["fit"]["ours"] + min(most, photos) / (read * CORES)),
        f"{photos / flipped / 3_600:,.0f}",
        f"{MACHINES[photos]} x {CORES} cores: {_told(photos / (flipped * CORES * MACHINES[photos]))}",
        _bytes(photos * PHOTO_BYTES),
        _bytes(rows * latent),
        f"{flipped * CORES * PHOTO_BYTES * 8 / 1e9:.2g} Gbit/s",
        _bytes(rows * LABEL_BYTES),
        " / ".join(_bytes(photos / MACHINES[photos] * each) for each in entry),
        f"{photos * needed / (REACHED * PEAK) / 3_600:,.3g}",
        f"{GPUS[photos]}: {_told(photos * needed / (REACHED * PEAK * GPUS[photos]))}",
    ]


NAMES = (
    "photos",
    "fitting, on one machine",
    "encoding with flips, core hours",
    "encoding",
    "photos on disk",
    "latents on disk",
    "read by each machine that encodes",
    "labels on disk",
    "list of a machine's photos, in memory of a worker / of the process that lists them",
    f"a pass, {GPU} hours",
    f"a pass, on so many {GPU}",
)


def scaling(*, steps: int = 20) -> None:
    """Measure, compute, and write both tables."""
    with tempfile.TemporaryDirectory() as scratch:
        measured = [measure(size, Path(scratch), steps) for size in SIZES]
        entry = listed(Path(scratch))
    columns = [arithmetic(amount, measured[-1].operations, entry) for amount in AMOUNTS]
    rows = [[name, *each] for name, *each in zip(NAMES[1:], *(column[1:] for column in columns), strict=True)]
    headers = ["photos", *(column[0] for column in columns)]
    finish("scaling", headers, rows, batches=[each.row for each in measured], batch=BATCH, listed=entry)


if __name__ == "__main__":
    tyro.cli(scaling)
