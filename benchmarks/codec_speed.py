"""How many images a second our codecs and learned autoencoders encode and decode, on this machine, in one run.

    python benchmarks/codec_speed.py

The peers are autoencoders of diffusers (`_peers.py`), and faiss itself. All get the same 8-bit photos of 256x256
pixels, and each its best batch size of those tried; a second table tells how ours grow with the size of pictures,
batch, codewords and threads.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import faiss
import torch
import tyro
from torch import Tensor
from torch.nn.functional import interpolate, unfold
from tqdm import tqdm

from _peers import AUTOENCODERS, Autoencoder, autoencoder, photos
from _speed import in_turns, spread
from _table import finish
from smalti import Codec
from smalti.devices import keep_memory

SPECS = ("VQ-8-8-8", "PQ-32-8-8", "OPQ-32-8-8", "RQ-32-8-8", "LSQ-32-8-8")
OUR_BATCHES, PEER_BATCHES = (8, 64), (1, 4)
GREY = "OPQ-32"
USUAL = "OPQ-32-8-8"
FINER, COARSER = "OPQ-64-16-16", "OPQ-32@4-8@4-8@4"


def fitted(images: Tensor, spec: str) -> Codec:
    """A codec; how well it is fitted does not change its speed."""
    return Codec.fit(images, spec, patches=8_000, progress=False)


def timed(work: Any, x: Tensor, repeats: int) -> tuple[float, float, float]:
    """Images a second of encoding, of decoding, and the wider spread of both."""
    z = work.encode(x)
    taken = in_turns({"encode": partial(work.encode, x), "decode": partial(work.decode, z)}, repeats)
    (encode, one), (decode, other) = spread(taken["encode"]), spread(taken["decode"])
    return len(x) / encode, len(x) / decode, max(one, other)


def fastest(work: Any, images: Tensor, batches: tuple[int, ...], repeats: int) -> tuple[float, float, float]:
    """The same, best of the batch sizes."""
    speeds = [timed(work, images[torch.arange(batch) % len(images)], repeats) for batch in batches]
    return max(speed[0] for speed in speeds), max(speed[1] for speed in speeds), max(speed[2] for speed in speeds)


def beside_faiss(images: Tensor, repeats: int) -> dict[str, float]:
    """Seconds that faiss and a codec of grey pictures take to find the same kind of codes."""
    grey = images[:, :1].repeat(8, 1, 1, 1)
    codec = fitted(grey, GREY)
    patches = unfold(grey.float() - 128, 8, stride=8).transpose(1, 2).flatten(0, 1).contiguous().numpy()
    rotation, quantizer = faiss.OPQMatrix(64, 4), faiss.ProductQuantizer(64, 4, 8)
    rotation.train(patches)
    quantizer.train(rotation.apply(patches))
    ways = {"faiss": lambda: quantizer.compute_codes(rotation.apply(patches)), "ours": lambda: codec.encode(grey)}
    return {way: spread(taken)[0] for way, taken in in_turns(ways, repeats).items()}


def growth(images: Tensor, repeats: int) -> Iterator[list[Any]]:
    """Rows: one thing is changed at a time."""
    usual, threads = fitted(images, USUAL), torch.get_num_threads()
    many = images.repeat(8, 1, 1, 1)
    for batch in (1, 4, 16, 64):
        yield ["batch", batch, *timed(usual, many[:batch], repeats)]
    for size in (64, 128, 512, 1024):
        count = max(1, 64 * 256**2 // size**2 // 4)
        resized = interpolate(many[:count].float(), (size, size)).to(torch.uint8)
        yield ["size", size, *timed(usual, resized.repeat(-(-count // len(resized)), 1, 1, 1)[:count], repeats)]
    for spec in (COARSER, FINER):
        yield ["codec", spec, *timed(fitted(images, spec), many, repeats)]
    for count in {1, threads}:
        torch.set_num_threads(count)
        yield ["threads", count, *timed(usual, many, repeats)]
    torch.set_num_threads(threads)


@torch.inference_mode()
def codec_speed(*, repeats: int = 5, peer_repeats: int = 2) -> None:
    """Time encoding and decoding, best of the batch sizes."""
    keep_memory()  # as the command line does
    images = photos()
    speeds = {}
    for name in tqdm(AUTOENCODERS, desc="autoencoders"):
        peer: Autoencoder = autoencoder(name)
        few = peer_repeats if name != "AutoencoderTiny" else repeats
        speeds[name] = fastest(peer, images, PEER_BATCHES, few)
    for spec in tqdm(SPECS, desc="codecs"):
        speeds[spec] = fastest(fitted(images, spec), images, OUR_BATCHES, repeats)
    large, tiny = speeds["VQ-f4"], speeds["AutoencoderTiny"]
    rows = []
    for name, (encode, decode, width) in speeds.items():
        times = [encode / large[0], decode / large[1], encode / tiny[0], decode / tiny[1]]
        rows.append([name, encode, decode, f"{width:.0%}", *times])
    headers = ["codec", "encode, images/s", "decode, images/s", "spread"]
    headers += [f"{way}, times {peer}" for peer in ("VQ-f4", "AutoencoderTiny") for way in ("encode", "decode")]
    grown = list(cast(Any, growth(images, repeats)))
    finish(
        "codec_speed",
        headers,
        rows,
        threads=torch.get_num_threads(),
        growth=[dict(zip(("of", "at", "encode", "decode", "spread"), row, strict=True)) for row in grown],
        beside_faiss=beside_faiss(images, repeats),
    )


if __name__ == "__main__":
    tyro.cli(codec_speed)
