"""Encoding many photos: how much faster are several workers, is memory flat, and does every engine write the same?

    python benchmarks/encoding.py PHOTOS [--size 128] [--few 3000]

Each row is a run of the command line in a process of its own; seconds are of the whole of it, with the time that it and
its workers take to start. Memory is the most that any one of its processes held. `--few` photos stand beside all of
them to show whether memory grows. As many programs as cores, which know nothing of each other and encode all photos
each, show what this machine has to give to as many workers.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import tyro
from tqdm import tqdm

from _table import finish
from smalti import Images, Latents, open_images
from smalti.processes import cores

_CODEC = "OPQ-32-8-8"


def encoding(photos: str, /, *, size: int = 128, few: int = 3_000, ray: bool = True) -> None:
    """Fit on and encode photos in several ways; write `results/encoding.json`.

    Args:
        photos: a source of many.
        size: of the pictures.
        few: photos to compare the memory with.
        ray: whether to encode on Ray as well, which has to be installed.
    """
    images = open_images(photos, size=size)
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        some = kept(images.sample(few), folder / "some.npy")
        fit = ["--codec", _CODEC, "--size", str(size)]
        for source, count in ((some, few), (photos, len(images))):
            images_option = ["--images", str(count)]
            rows.append(ran("fit", source, [*fit, *images_option], [folder / f"codec-{count}"], count, "1"))
        encode = ["--codec", str(folder / f"codec-{few}"), "--size", str(size)]
        rows.append(ran("encode", some, [*encode, "--workers", "1"], [folder / "some"], few, "1"))
        engines = [("local", workers) for workers in sorted({1, 2, cores()})] + [("ray", cores())] * ray
        for engine, workers in engines:
            out, options = folder / f"{engine}-{workers}", ["--engine", engine, "--workers", str(workers)]
            rows.append(ran("encode", photos, [*encode, *options], [out], len(images), f"{workers}, {engine}"))
        alone = [folder / f"alone-{number}" for number in range(cores())]
        told = f"{cores()} programs, 1 each"
        rows.append(ran("encode", photos, [*encode, "--workers", "1"], alone, len(images), told))
        written = [folder / f"{engine}-{workers}" for engine, workers in engines]
        same = len({str(sorted(Latents(each).manifest.digests.items())) for each in written}) == 1
    print(f"all engines wrote the same: {same}")
    headers = ["verb", "photos", "workers", "seconds", "photos/s", "MiB at most"]
    finish("encoding", headers, rows, same=same, size=size, codec=_CODEC)


def kept(images: Images, path: Path) -> str:
    """Photos as an array in a file."""
    array = np.stack([np.moveaxis(pixels.numpy(), 0, 2) for pixels in tqdm(images, total=len(images))])
    np.save(path, array)
    return str(path)


def ran(verb: str, photos: str, options: list[str], outs: list[Path], count: int, workers: str) -> list[Any]:
    """A row: what a verb took, run as often at once as there are folders to write."""
    words = [sys.executable, "-m", "smalti", verb, photos, *options, "--quiet"]
    began = perf_counter()
    running = [subprocess.Popen([*words, "--out", str(out)]) for out in outs]
    most = 0.0
    for each in running:
        _, status, used = os.wait4(each.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
        most = max(most, used.ru_maxrss / 2**10)
    seconds = perf_counter() - began
    return [verb, len(outs) * count, workers, seconds, len(outs) * count / seconds, most]


if __name__ == "__main__":
    tyro.cli(encoding)
