"""How many images a second our codecs and a learned autoencoder encode and decode, on this machine, in one run.

    python benchmarks/codec_speed.py

The peer is `diffusers.VQModel` in the f4 layout of latent diffusion (55 M parameters); its weights are random, which
does not change its speed. All get the same 8-bit photos of 256x256 pixels, and each its best batch size of those tried.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any, cast

import torch
import tyro
from diffusers import VQModel
from skimage import data
from tqdm import tqdm

from _table import finish
from smalti import Codec

SIZE = 256
SPECS = ("VQ-8-8-8", "PQ-32-8-8", "OPQ-32-8-8", "RQ-32-8-8")
OUR_BATCHES, PEER_BATCHES = (8, 64), (1, 4)


def photos() -> torch.Tensor:
    """Eight crops of photos that scikit-image ships, uint8 (8, 3, 256, 256)."""
    astronaut, coffee = (torch.from_numpy(image.copy()).permute(2, 0, 1) for image in (data.astronaut(), data.coffee()))
    corners = [(0, 0), (0, SIZE), (SIZE, 0), (SIZE, SIZE)]
    crops = [astronaut[:, y : y + SIZE, x : x + SIZE] for y, x in corners]
    crops += [coffee[:, y : y + SIZE, x : x + SIZE] for y, x in [(0, 0), (0, 300), (140, 0), (140, 300)]]
    return torch.stack(crops).contiguous()


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of `work` after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return median(times)


@torch.inference_mode()
def codec_speed(*, repeats: int = 5, peer_repeats: int = 3) -> None:
    """Time encoding and decoding, best of the batch sizes."""
    images = photos()
    codecs = {spec: Codec.fit(images, spec, patches=8_000, progress=False) for spec in tqdm(SPECS, desc="fitting")}
    peer = VQModel(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(128, 256, 512),
        layers_per_block=2,
        latent_channels=3,
        num_vq_embeddings=8192,
        vq_embed_dim=3,
    ).eval()

    def peer_encode(x: torch.Tensor) -> torch.Tensor:
        return peer.encode(x.float() / 127.5 - 1).latents

    def peer_decode(h: torch.Tensor) -> torch.Tensor:
        return ((cast(Any, peer.decode(h)).sample + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    def fastest(encode: Callable, decode: Callable, batches: tuple[int, ...], repeats: int) -> tuple[float, float]:
        speeds = []
        for batch in batches:
            x = images[torch.arange(batch) % len(images)]
            z = encode(x)
            speeds.append(
                (batch / seconds(lambda x=x: encode(x), repeats), batch / seconds(lambda z=z: decode(z), repeats))
            )
        return max(speed[0] for speed in speeds), max(speed[1] for speed in speeds)

    speeds = {"VQModel f4": fastest(peer_encode, peer_decode, PEER_BATCHES, peer_repeats)}
    for spec in tqdm(SPECS, desc="timing"):
        speeds[spec] = fastest(codecs[spec].encode, codecs[spec].decode, OUR_BATCHES, repeats)
    base = speeds["VQModel f4"]
    rows = [[name, *speed, speed[0] / base[0], speed[1] / base[1]] for name, speed in speeds.items()]
    headers = ["codec", "encode, images/s", "decode, images/s", "encode, times VQModel", "decode, times VQModel"]
    finish("codec_speed", headers, rows, size=SIZE, threads=torch.get_num_threads())


if __name__ == "__main__":
    tyro.cli(codec_speed)
