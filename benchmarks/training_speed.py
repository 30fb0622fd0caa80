"""How many pictures a second train on this machine, with which share of its arithmetic, and what more cores bring.

    python benchmarks/training_speed.py [--sizes 64 256]

The same U-Net learns codes of ours (the logits of codewords), latents as a VQ-f8 has them (4 channels, an eighth of the
side) and pixels; the last row of a size is our default, which unfolds patches. States are of photos that scikit-image
ships, or of random numbers: the speed does not depend on them. Everything is measured on one core, then on all of them
as threads of one process, then as processes of a thread each, `repeats` times in turn.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from PIL import Image
from skimage import data
from torch import nn
from tqdm import tqdm

from _pixels import StateBatches, size_of, state_losses
from _speed import matrix_rate, operations, spread
from _table import finish
from smalti import Codec, GeneratorSettings, TrainSettings, UNetSettings, encode_images, open_images
from smalti.devices import find_device
from smalti.processes import cores
from smalti.training import Batches, LatentBatches, Losses, begin_generator, generator_losses, speed

CPU = find_device("cpu")
PICTURES = 64
HEADERS = ["pixels", "states", "parameters, M", "batch", "processes", "threads", "images/s", "spread"]
HEADERS += ["times one core", "GFLOP an image", "share of the matmul rate"]
BATCHES = {64: 64, 256: 8}


@dataclass(frozen=True)
class Work:
    """Something to train."""

    name: str
    net: nn.Module
    batches: Batches
    losses: Losses
    batch_size: int

    @property
    def settings(self) -> TrainSettings:
        """Of the loop."""
        return TrainSettings(batch_size=self.batch_size)

    def images_a_second(self, processes: int) -> float:
        """Measured over a few steps."""
        return speed(self.net, self.batches, self.losses, self.settings, "cpu", processes=processes)


def crops(size: int, folder: Path) -> None:
    """Pictures of a size from photos that scikit-image ships, as files."""
    folder.mkdir()
    for photo in (data.astronaut(), data.coffee(), data.chelsea()):
        for top in range(0, photo.shape[0] - size + 1, size):
            for left in range(0, photo.shape[1] - size + 1, size):
                crop = photo[top : top + size, left : left + size]
                Image.fromarray(crop).save(folder / f"{len(list(folder.iterdir())):03d}.png")


def works(size: int, folder: Path) -> Iterator[Work]:
    """What is compared at a size of pictures."""
    crops(size, folder / "photos")
    photos, batch = open_images(folder / "photos"), BATCHES[size]
    codec = Codec.fit(photos, f"OPQ-32-8-8/{4 if size < 128 else 8}", patches=20_000, progress=False)
    latents = encode_images(photos, codec, folder / "latents", progress=False)
    training = TrainSettings(batch_size=batch)
    for name, unfold in (("our codes", 1), ("our codes, unfolded (default)", 2)):
        pipe = begin_generator(latents, GeneratorSettings(net=UNetSettings(unfold=unfold)))
        batches, losses = LatentBatches(latents, pipe.process, training), generator_losses(pipe.process, pipe.codec)
        yield Work(name, pipe.net, batches, losses, batch)
    for name, shape in (("latents of a VQ-f8", (4, size // 8, size // 8)), ("pixels", (3, size, size))):
        net = UNetSettings(unfold=1).build(shape[0], shape[0], shape[1:], 0)
        states = torch.randn(PICTURES, *shape, generator=torch.Generator().manual_seed(0))
        yield Work(name, net, StateBatches(states, 0), state_losses("v", "linear"), batch)


def rate_of(threads: int) -> float:
    """What so many threads reach."""
    torch.set_num_threads(threads)
    return matrix_rate(CPU)


def training_speed(sizes: tuple[int, ...] = (64, 256), *, repeats: int = 3) -> None:
    """Measure all works on one core and on all."""
    ways = [(1, 1), (1, cores()), (cores(), 1)] if cores() > 1 else [(1, 1)]  # processes, threads of each
    rates = {threads: rate_of(threads) for threads in {1, cores()}}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in sizes:
            (folder := Path(scratch) / str(size)).mkdir()
            for work in tqdm(list(works(size, folder)), desc=f"{size} pixels"):
                batch = work.batches(range(work.batch_size))
                flops, found = operations(work.net, work.losses, batch, CPU), {way: [] for way in ways}
                for _ in range(repeats):
                    for processes, threads in ways:
                        torch.set_num_threads(threads)
                        found[processes, threads].append(work.images_a_second(processes))
                for (processes, threads), speeds in found.items():
                    (middle, width), one = spread(speeds), spread(found[1, 1])[0]
                    share = flops * middle / rates[processes * threads]
                    cells = [size, work.name, size_of(work.net) / 1e6, work.batch_size, processes, threads]
                    rows.append([*cells, middle, f"{width:.0%}", middle / one, flops / 1e9, f"{share:.0%}"])
                # What is measured is kept, since pixels take their time.
                finish("training_speed", HEADERS, rows, matmul_rates={str(key): rate for key, rate in rates.items()})


if __name__ == "__main__":
    tyro.cli(training_speed)
