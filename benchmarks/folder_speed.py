"""From a folder of JPEGs to latents: how near to the speed of decoding and cropping them, the limit; and fitting.

    python benchmarks/folder_speed.py [--counts 500 2000]

The JPEGs are crops of photos that scikit-image ships, of the sizes that cameras' thumbnails have. The peer of fitting
is faiss itself, called as its manual says, on the same patches: one thread, as ours, whose codebooks are the same with
any number of threads.
"""

import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
import tyro
from PIL import Image
from skimage import data
from threadpoolctl import threadpool_limits

from _speed import in_turns, spread
from _table import finish
from smalti import Codec, Images, PixelFormat, encode_images, open_images
from smalti.devices import keep_memory
from smalti.processes import cores

SIZE = 192
SPECS = ("VQ-8-8-8", "PQ-32-8-8", "OPQ-32-8-8", "RQ-32-8-8")
LARGER = 1.3  # the photos than the crops of them
PATCHES = 150_000
QUALITY = 90


def make_photos(folder: Path, count: int) -> None:
    """JPEGs, each another part of a photo at another scale."""
    folder.mkdir()
    sources = [Image.fromarray(picture) for picture in (data.astronaut(), data.coffee(), data.chelsea())]
    draws = np.random.default_rng(0)
    for number in range(count):
        source = sources[number % len(sources)]
        side = int(draws.integers(SIZE, min(source.size)))
        left, top = (int(draws.integers(0, length - side + 1)) for length in source.size)
        width = round(LARGER * SIZE)
        crop = source.resize((width, width), box=(left, top, left + side, top + side))
        crop.save(folder / f"{number:06d}.jpg", quality=QUALITY)


def encode(photos: Images, codec: Codec, out: Path) -> None:
    """Write latents, and take them away again."""
    encode_images(photos, codec, out, flips=False, progress=False)
    shutil.rmtree(out)


def folder_speed(counts: tuple[int, ...] = (500, 2_000), *, repeats: int = 3, fits: int = 1) -> None:
    """Time reading, reading and encoding, and fitting."""
    keep_memory()  # as the command line does
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for count in counts:
            make_photos(Path(scratch) / str(count), count)
            photos = open_images(Path(scratch) / str(count), size=SIZE)
            codecs = {spec: Codec.fit(photos.sample(100), spec, patches=20_000, progress=False) for spec in SPECS}
            ways: dict[str, Callable[[], object]] = {"decode and crop": partial(deque, photos, 0)}
            ways |= {spec: partial(encode, photos, codec, Path(scratch) / "latents") for spec, codec in codecs.items()}
            times = in_turns(ways, repeats)
            limit = spread(times["decode and crop"])[0]
            for way, taken in times.items():
                middle, width = spread(taken)
                rows.append([way, count, count / middle, f"{width:.0%}", f"{limit / middle:.0%}"])
    headers = ["JPEGs to", "photos", "photos/s", "spread", "share of decoding alone"]
    finish("folder_speed", headers, rows, size=SIZE, cores=cores(), fit=fit_speed(fits) if fits else None)


def fit_speed(repeats: int) -> dict[str, float]:
    """Seconds of faiss alone and of ours for the OPQ of OPQ-32-8-8, and their ratio."""
    picture = torch.from_numpy(np.stack([data.astronaut()] * 2)).permute(0, 3, 1, 2)
    noise = torch.randint(-20, 21, (40, *picture.shape[1:]), generator=torch.Generator().manual_seed(0))
    images = [(picture[0] + each).clamp(0, 255).to(torch.uint8) for each in noise]
    levels = PixelFormat.of_planes(3).to_planes(torch.stack(images).float())
    planes = torch.nn.functional.unfold(levels.transpose(0, 1).flatten(0, 1)[:, None], 8, stride=8)
    planes = planes.unflatten(0, (3, -1)).transpose(2, 3).flatten(1, 2)[:, :PATCHES].contiguous().numpy()

    def peer() -> None:
        with threadpool_limits(limits=1):
            for plane, (stages, bits) in zip(planes, ((4, 8), (1, 8), (1, 8)), strict=True):
                if stages > 1:
                    rotation = faiss.OPQMatrix(plane.shape[1], stages)
                    rotation.train(plane)
                    plane = rotation.apply(plane)
                quantizer = faiss.ProductQuantizer(plane.shape[1], stages, bits)
                quantizer.cp.max_points_per_centroid = len(plane)
                quantizer.train(np.ascontiguousarray(plane))

    ways = {"faiss": peer, "ours": lambda: Codec.fit(images, "OPQ-32-8-8", patches=PATCHES, progress=False)}
    found = {way: spread(taken)[0] for way, taken in in_turns(ways, repeats, warm=False).items()}
    print(f"fit of OPQ-32-8-8 on {PATCHES} patches: {found}, {found['ours'] / found['faiss']:.2f} times faiss")
    return found


if __name__ == "__main__":
    tyro.cli(folder_speed)
