"""How many pictures of 256x256 a second are sampled, end to end, by us and by a latent diffusion of diffusers.

    python benchmarks/sampling_speed.py [--batches 1 8] [--steps 10 50]

Both take the same U-Net (ours, on a grid of 32x32 places), the same number of calls and DDIM, and end with pixels: ours
by a codec, and maybe a refiner, theirs by the decoder of a VQ-f8, as latent diffusion has it. The last row is what
`create` makes by default. Networks are untrained, which changes no speed.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import tyro
from diffusers import DDIMScheduler
from PIL import Image
from torch import Tensor

from _peers import SIZE, autoencoder, photos
from _speed import in_turns, spread
from _table import finish
from smalti import (
    Codec,
    GeneratorSettings,
    Latents,
    MixedLatents,
    RefinerSettings,
    SampleSettings,
    SmaltiPipeline,
    UNetSettings,
    encode_images,
    open_images,
)
from smalti.devices import find_device, keep_memory
from smalti.training import begin_generator

SPEC = "OPQ-32-8-8"
PEER = "VQ-f8"

Sampler = Callable[[int, int], object]


def ours(
    latents: Latents | MixedLatents, unfold: int, refine: bool, device: torch.device, scheduler: str | None
) -> Sampler:
    """Our pipeline with an untrained network."""
    pipe: SmaltiPipeline = begin_generator(latents, GeneratorSettings(net=UNetSettings(unfold=unfold)))
    if refine:
        pipe.register_modules(refiner=RefinerSettings().network(pipe.codec.spec).eval())
    pipe.to(device).set_progress_bar_config(disable=True)
    draws = None if scheduler is None else False

    def sample(batch: int, steps: int) -> list[Tensor]:
        settings = SampleSettings(steps=steps, batch_size=batch, scheduler=scheduler, draws=draws)
        return list(pipe.stream(batch, settings))

    return sample


def theirs(device: torch.device) -> Sampler:
    """Noise to a latent by DDIM and the same U-Net, and the latent to pixels by a learned decoder."""
    decoder = autoencoder(PEER)
    decoder.model.to(device)
    channels, side, _ = decoder.shape
    net = UNetSettings(unfold=1).build(channels, channels, (side, side), 0).to(device).eval()
    scheduler = DDIMScheduler(num_train_timesteps=1000)

    @torch.inference_mode()
    def sample(batch: int, steps: int) -> Tensor:
        scheduler.set_timesteps(steps)
        x = torch.randn(batch, channels, side, side, device=device)
        for time in scheduler.timesteps:
            out: Any = net(x, time.expand(batch).to(device), None)
            x = scheduler.step(out, int(time), x, return_dict=False)[0]
        return decoder.decode(x).cpu()

    return sample


def sampling_speed(batches: tuple[int, ...] = (1, 8), steps: tuple[int, ...] = (10, 50), *, repeats: int = 3) -> None:
    """Time whole batches of pictures."""
    keep_memory()  # as the command line does
    device = find_device()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "photos").mkdir()
        for number, photo in enumerate(photos()):
            Image.fromarray(photo.permute(1, 2, 0).numpy()).save(folder / "photos" / f"{number}.png")
        images = open_images(folder / "photos", size=SIZE)
        latents = encode_images(images, Codec.fit(images, SPEC, patches=8_000), folder / "latents")
        ways = {
            f"diffusers, {PEER}": theirs(device),
            "Smalti, the same U-Net": ours(latents, 1, False, device, "ddim"),
            "Smalti, the same U-Net, refined": ours(latents, 1, True, device, "ddim"),
            "Smalti, as by default": ours(latents, 2, True, device, None),
        }
        rows = []
        for batch in batches:
            for each in steps:
                times = in_turns({way: lambda way=way: ways[way](batch, each) for way in ways}, repeats)  # noqa: B023
                peer = spread(times[f"diffusers, {PEER}"])[0]
                for way, taken in times.items():
                    middle, width = spread(taken)
                    rows.append([way, batch, each, batch / middle, f"{width:.0%}", peer / middle])
    headers = ["pipeline", "batch", "calls", "pictures/s", "spread", "times diffusers"]
    finish("sampling_speed", headers, rows, size=SIZE, device=str(device), threads=torch.get_num_threads())


if __name__ == "__main__":
    tyro.cli(sampling_speed)
