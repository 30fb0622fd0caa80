"""On a machine with a GPU: is all as on the CPU, how fast is it, and what comes of training for the minutes left?

    smalti encode PHOTOS --codec OPQ-32-8-8 --size 128 --out latents      # elsewhere; what to carry there
    python benchmarks/gpu.py latents --out FOLDER --minutes 8.5

It needs PyTorch, the wheels of smalti, and the latents, and nothing else. It leaves figures (`gpu.json`), samples and
a model with its checkpoint in FOLDER. Without a GPU it does the same on the CPU, which then is compared with itself.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from _speed import matrix_rate, operations
from _table import finish
from smalti import (
    GeneratorSettings,
    Latents,
    SampleSettings,
    SmaltiPipeline,
    TrainSettings,
    UNetSettings,
    train_generator,
)
from smalti.devices import find_device, put
from smalti.report import grid
from smalti.training import LatentBatches, begin_generator, generator_losses, training_speed

CPU = torch.device("cpu")
STEPS = 50
SHOWN = 64
RESERVE = 60  # seconds, for samples
GUIDANCE = 2.0
TOLERANCES = {"codes that differ": 1e-3, "pixels that differ": 1e-3, "float32 gradient": 1e-3, "bfloat16 gradient": 0.2}
TOLERANCES["samples, pixels that differ by more than 8"] = 0.05


def gpu(
    latents: Path,
    /,
    *,
    out: Path,
    minutes: float = 8.5,
    width: int = 96,
    batches: tuple[int, ...] = (64, 256),
    calls: int = STEPS,
) -> None:
    """Check, measure and train.

    Args:
        latents: to learn, of any photos.
        out: folder for what comes of it.
        minutes: for all of it.
        width: of the network.
        batches: sizes that training and sampling are measured with; the last is trained with.
        calls: of the network a picture.
    """
    began, device, data = perf_counter(), find_device(), Latents(latents)
    out.mkdir(parents=True)
    model = GeneratorSettings(net=UNetSettings(width=width))
    differences = dict(checks(data, model, device))
    rows = list(measured(data, model, batches, calls, device))
    training = TrainSettings(batch_size=batches[-1])
    left = 60 * minutes - (perf_counter() - began) - RESERVE
    images = max(1, int(left * training_speed(data, model, training)) // training.batch_size) * training.batch_size
    halflife = max(training.batch_size, images // 20)
    training = TrainSettings(
        images=images,
        batch_size=training.batch_size,
        warmup=min(training.warmup, images // 10),
        ema_halflife=halflife,
        checkpoint_every=images,
    )
    pipe: SmaltiPipeline = train_generator(data, out / "model", model, training)
    labels = [number % len(data.classes) for number in range(SHOWN)] if data.classes else None
    settings = SampleSettings(steps=calls, batch_size=SHOWN, guidance=GUIDANCE if labels else 1.0)
    grid(torch.cat(list(pipe.to(device).stream(SHOWN, settings, labels=labels))), columns=8).save(out / "samples.png")
    headers = ["batch", "trained images/s", "TFLOP/s", "share of the matmul rate", "sampled pictures/s"]
    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    found = {"device": name, "differences": differences, "tolerances": TOLERANCES, "images": images}
    finish("gpu", headers, rows, folder=out, **found, calls=calls, width=width, seconds=perf_counter() - began)
    wrong = [name for name, value in differences.items() if value > TOLERANCES[name]]
    if wrong:
        raise SystemExit(f"{device} computes otherwise than the CPU: {', '.join(wrong)}")


def checks(data: Latents, model: GeneratorSettings, device: torch.device) -> Iterator[tuple[str, float]]:
    """How far the device is from the CPU, a name and a number each."""
    torch.backends.cudnn.allow_tf32 = False  # float32 is to be float32 here
    codec, there = data.codec(), data.codec().to(device)
    z = data[torch.arange(8).numpy()]
    pictures = codec.decode(z, data.size)
    yield "codes that differ", share(codec.encode(pictures) != there.encode(pictures.to(device)).cpu())
    yield "pixels that differ", share(pictures != there.decode(z.to(device), data.size).cpu())
    yield "float32 gradient", gradient_difference(data, model, device, torch.float32)
    yield "bfloat16 gradient", gradient_difference(data, model, device, torch.bfloat16)
    torch.backends.cudnn.allow_tf32 = True
    settings = SampleSettings(steps=3, batch_size=4, scheduler="ddim", draws=False)
    here, other = (
        torch.cat(list(begin_generator(data, model).to(each).stream(4, settings))).int() for each in (CPU, device)
    )
    yield "samples, pixels that differ by more than 8", share((here - other).abs() > 8)


def share(differs: Tensor) -> float:
    """Of a tensor's elements those that are true."""
    return differs.float().mean().item()


def gradient_difference(data: Latents, model: GeneratorSettings, device: torch.device, kind: torch.dtype) -> float:
    """Of a training step: the distance of gradients, as a share of the length of the CPU's in float32."""
    exact = gradient(data, model, CPU, torch.float32)
    return ((gradient(data, model, device, kind) - exact).norm() / exact.norm()).item()


def gradient(data: Latents, model: GeneratorSettings, device: torch.device, kind: torch.dtype) -> Tensor:
    """That of the first images, all parameters in a row."""
    pipe = begin_generator(data, model).to(device)
    net, training = deepcopy(pipe.net).train(), TrainSettings(batch_size=8)
    batch = put(LatentBatches(data, pipe.process, training)(range(training.batch_size)), device)
    low = torch.autocast(device.type, kind) if kind != torch.float32 else nullcontext()
    with low:
        terms = generator_losses(pipe.process, pipe.codec)(net, batch)
    torch.stack(list(terms.values())).sum(0).mean().backward()
    gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    return torch.cat([each.flatten() for each in gradients]).float().cpu()


def measured(
    data: Latents, model: GeneratorSettings, batches: tuple[int, ...], calls: int, device: torch.device
) -> Iterator[list[Any]]:
    """Rows of the table."""
    rate = matrix_rate(device)
    for size in tqdm(batches, desc="measuring"):
        training = TrainSettings(batch_size=size)
        pipe = begin_generator(data, model).to(device)
        pipe.set_progress_bar_config(disable=True)
        batch = put(LatentBatches(data, pipe.process, training)(range(size)), device)
        flops = operations(pipe.net, generator_losses(pipe.process, pipe.codec), batch, device)
        images = training_speed(data, model, training)
        began = perf_counter()
        for _ in pipe.stream(size, SampleSettings(steps=calls, batch_size=size)):
            pass
        yield [size, images, flops * images / 1e12, f"{flops * images / rate:.0%}", size / (perf_counter() - began)]


if __name__ == "__main__":
    tyro.cli(gpu)
