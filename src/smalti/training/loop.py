"""The training loop, used for every network of the project."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from smalti.devices import join_processes, trains_in_bf16
from smalti.files import SmaltiError, only_writer
from smalti.random import keyed_seed
from smalti.training.settings import TrainSettings
from smalti.training.state import load_checkpoint, save_checkpoint

Batch = dict[str, Tensor]
Batches = Callable[[int], Batch]
Losses = Callable[[nn.Module, Batch], dict[str, Float[Tensor, " B"]]]
Line = dict[str, int | float]
OnImages = Callable[[int, nn.Module], None]


def train(
    model: nn.Module,
    batches: Batches,
    losses: Losses,
    settings: TrainSettings,
    out: Path,
    *,
    resume: bool = False,
    on_images: OnImages | None = None,
    device: str | None = None,
    progress: bool = True,
) -> nn.Module:
    """Train `model` and return it with the averaged weights.

    Args:
        model: any network; its parameters are trained in place.
        batches: gives the batch that starts at image n as tensors (B, ...), the same whatever happened before; all
            that is drawn at random is in it. This, and the checkpoint, is all that resuming needs.
        losses: the terms of the loss, summed as they are, one number an image each.
        settings: see `TrainSettings`.
        out: an existing folder; gets `metrics.jsonl` and `checkpoints/`.
        resume: go on from the newest checkpoint in `out`. On the CPU the run is then the same to the bit.
        on_images: called at every checkpoint with the images seen and the model holding the averaged weights.
        device: where to train; without it on the accelerator, if there is one.
        progress: show a bar in images, with loss, speed and time left.

    Raises:
        SmaltiError: the loss is no longer finite, there is no such device, another process trains in `out`, or there
            is nothing to resume.
    """
    # --- devices: bf16 where it is native, all processes of `accelerate launch`
    here = join_processes(device).device
    accelerator = Accelerator(cpu=here.type == "cpu", mixed_precision="bf16" if trains_in_bf16(here) else "no")
    rank, ranks = accelerator.process_index, accelerator.num_processes
    if settings.batch_size % ranks:
        raise SmaltiError(f"a batch of {settings.batch_size} images does not divide among {ranks} processes.")

    # --- what is trained; convolutions run faster on channels-last weights
    model = cast(Any, model).to(accelerator.device, memory_format=torch.channels_last).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, settings.learning_rate, (0.9, 0.99), weight_decay=settings.weight_decay)
    ema = EMAModel(parameters, decay=0.5 ** (settings.batch_size / settings.ema_halflife), foreach=True)
    accelerator.wait_for_everyone()  # `out` is there once the main process has made it
    image = load_checkpoint(out, model, ema, optimizer, settings) if resume else 0
    wrapped = accelerator.prepare_model(model)

    def write(image: int) -> None:
        if accelerator.is_main_process:
            save_checkpoint(out, image, model, ema, optimizer, settings)
            if on_images is not None:
                ema.store(parameters)
                ema.copy_to(parameters)
                on_images(image, model.eval())
                ema.restore(parameters)
                model.train()
        accelerator.wait_for_everyone()

    with _metrics(out, image) if accelerator.is_main_process else nullcontext(_no_log) as log:
        bar = tqdm(
            total=settings.images,
            initial=min(image, settings.images),
            desc="training",
            unit="image",
            disable=not (progress and accelerator.is_main_process),
        )
        meter = _Meter(image)
        while image < settings.images:
            # Dropout draws from the global state: seeding each step keeps a resumed run the same run.
            torch.manual_seed(keyed_seed(settings.seed, f"step/{rank}", image))
            batch = {name: tensor[rank::ranks].to(accelerator.device) for name, tensor in batches(image).items()}
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate_at(image)
            with accelerator.autocast():
                terms = losses(wrapped, batch)
            loss = torch.stack(list(terms.values())).sum(0).mean()
            accelerator.backward(loss)
            norm = accelerator.clip_grad_norm_(parameters, settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            ema.step(parameters)

            # --- bookkeeping, in images seen
            previous, image = image, image + settings.batch_size
            bar.update(min(image, settings.images) - previous)
            meter.add({**terms, "loss": loss, "gradient_norm": cast(Tensor, norm)})
            last = image >= settings.images
            due = last or _passed(settings.checkpoint_every, previous, image)
            if due or _passed(settings.log_every, previous, image):
                line = meter.line(image, settings.learning_rate_at(previous))
                if not all(map(_finite, line.values())):
                    raise SmaltiError(
                        f"{out}: the loss is no longer finite at image {image}; lower the learning rate (it was "
                        f"{settings.learning_rate:g}) and resume from the last checkpoint or start again."
                    )
                log(line)
                bar.set_postfix(loss=f"{line['loss']:.4f}")
            if due:
                write(image)
                meter = _Meter(image)
        bar.close()
    ema.copy_to(parameters)
    return accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False).eval()  # and without autocast


class _Meter:
    """Means of the figures since the last line, kept on the device so that no step waits for them."""

    def __init__(self, image: int):
        self._restart(image)

    def _restart(self, image: int) -> None:
        self.image, self.began, self.steps = image, perf_counter(), 0
        self.sums: dict[str, Tensor] = {}

    def add(self, figures: dict[str, Tensor]) -> None:
        self.steps += 1
        for name, value in figures.items():
            value = value.detach().float().mean()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def line(self, image: int, learning_rate: float) -> Line:
        means = {name: (total / self.steps).item() for name, total in self.sums.items()}
        speed = (image - self.image) / max(perf_counter() - self.began, 1e-9)
        self._restart(image)
        return {"images": image, **means, "learning_rate": learning_rate, "images_per_second": round(speed, 2)}


Log = Callable[[Line], None]


@contextmanager
def _metrics(out: Path, image: int) -> Iterator[Log]:
    """A function that appends a line to `metrics.jsonl`, without the lines that a lost part of the run had written."""
    path = out / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    with only_writer(out), path.open("w", encoding="utf-8") as file:
        file.writelines(line for line in lines if line.endswith("\n") and json.loads(line)["images"] <= image)
        file.flush()

        def log(line: Line) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        yield log


def _no_log(line: Line) -> None:
    """What the processes that do not write do with their lines."""


def _passed(every: int, previous: int, image: int) -> bool:
    return previous // every < image // every


def _finite(value: int | float) -> bool:
    return abs(value) < float("inf")
