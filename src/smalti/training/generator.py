"""Training a generator on latents: its batches, its losses, and the model folder it grows in."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from smalti.codec import Codec
from smalti.data.latents import Latents
from smalti.devices import join_processes
from smalti.diffusion import Categorical, Continuous, Masked, Multinomial, Process
from smalti.diffusion.continuous import Prediction
from smalti.diffusion.coordinates import CoordinateKind
from smalti.diffusion.process import TRAINING_TIMESTEPS, BetaSchedule
from smalti.files import SmaltiError, new_folder, record, replace_file, write_json
from smalti.nets import NO_LABEL, DiT, UNet
from smalti.pipeline import SmaltiPipeline
from smalti.random import keyed_normal, keyed_order, keyed_uniform
from smalti.schedulers import make_scheduler
from smalti.training.loop import Batch, train
from smalti.training.settings import TrainSettings
from smalti.training.state import checkpoints

WEIGHTS = "diffusion_pytorch_model.safetensors"

_RECALL = 0.5  # share of images of self-conditioning that are shown an estimate
_GOLDEN_RATIO = (5**0.5 - 1) / 2

OnModel = Callable[[int, SmaltiPipeline], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSettings:
    """What is trained: the process and the network."""

    process: Literal["continuous", "categorical", "masked", "multinomial"] = "categorical"
    """DDPM on the coordinates (continuous), with a distribution over codewords as output (categorical); or indices that
    are replaced by masks (masked) or by others (multinomial)."""
    coordinates: CoordinateKind = "principal"
    """What stands for a codeword: its principal coordinates, or its rank (the paper's pseudo-ordinality)."""
    k: int = 4
    """Coordinates a codeword; 1 with "rank"."""
    beta_schedule: BetaSchedule = "linear"
    """Noise schedule, by diffusers' name; not of indices."""
    snr_gamma: float = 5.0
    """Gamma of Min-SNR weighting; not of indices."""
    self_conditioning: bool = False
    """Show the network its last estimate, in training half of the time; not with indices."""
    prediction: Prediction = "v"
    """What the network of a continuous process predicts."""
    dither: bool = False
    """Continuous, by rank: spread an index of training over its step."""
    likelihood: bool = False
    """Categorical: add the likelihood of the noisy coordinates to the logits."""
    cross_entropy_weight: float = 1.0
    """Categorical: weight of the cross-entropy."""
    noise_weight: float = 0.0
    """Categorical: weight of the error of the noise that a Gumbel-softmax draw implies."""
    image_weight: float = 0.0
    """Categorical: weight of the draw's error in image space."""
    gumbel_temperature: float = 1.0
    """Categorical: temperature of the Gumbel-softmax."""
    straight_through: bool = False
    """Categorical: draws of training are one-hot, with the gradient of the soft ones."""
    net: Literal["unet", "dit"] = "unet"
    """A U-Net, or a transformer with a token a patch."""
    width: int = 64
    """Channels of the U-Net's finest level, or of the transformer's tokens."""
    layers: int = 1
    """Residual blocks a level of the U-Net, or blocks of the transformer."""
    dropout: float = 0.0
    """Dropout in the residual blocks."""

    def __post_init__(self) -> None:
        """Refuse a network that cannot be built.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        if self.width < 32 or self.width % 32:
            raise SmaltiError(f"width is {self.width}; it must be a multiple of 32.")
        if self.layers < 1 or not 0 <= self.dropout < 1 or not self.snr_gamma > 0:
            raise SmaltiError("layers must be at least 1, dropout from 0 to 1, and the SNR gamma more than 0.")
        if self.dither and self.coordinates != "rank":
            raise SmaltiError("dither spreads an index over its step: it goes with coordinates by rank alone.")


_PROCESSES: dict[str, tuple[type[Process], tuple[str, ...]]] = {
    "continuous": (Continuous, ("beta_schedule", "snr_gamma", "self_conditioning", "prediction", "dither")),
    "categorical": (
        Categorical,
        (
            "beta_schedule",
            "snr_gamma",
            "self_conditioning",
            "likelihood",
            "cross_entropy_weight",
            "noise_weight",
            "image_weight",
            "gumbel_temperature",
            "straight_through",
        ),
    ),
    "masked": (Masked, ()),
    "multinomial": (Multinomial, ()),
}
_NETS: dict[str, Any] = {"unet": UNet, "dit": DiT}


def begin_generator(latents: Latents, settings: GeneratorSettings, seed: int = 0) -> SmaltiPipeline:
    """An untrained model for some latents; its first weights follow from the seed."""
    codec = latents.codec()
    kind, names = _PROCESSES[settings.process]
    chosen = {name: getattr(settings, name) for name in names}
    process = kind.of(codec, settings.coordinates, settings.k, counts=latents.counts, **chosen)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = _NETS[settings.net](
            process.in_channels,
            process.out_channels,
            grid=latents.grid,
            classes=len(latents.classes),
            width=settings.width,
            layers=settings.layers,
            dropout=settings.dropout,
        )
    scheduler = make_scheduler(process.default_scheduler, process)
    return SmaltiPipeline(codec, process, net, scheduler, list(latents.size), latents.classes)


def train_generator(
    latents: Latents,
    out: str | Path,
    model: GeneratorSettings,
    training: TrainSettings,
    *,
    resume: bool = False,
    on_model: OnModel | None = None,
    device: str | None = None,
    progress: bool = True,
) -> SmaltiPipeline:
    """Train a generator on latents, in a model folder that can be loaded at any time from the first checkpoint on.

    With `resume` a run in `out` goes on from its last checkpoint, or begins again where it had not come to one.
    `on_model` is called at every checkpoint with the images seen and the model with its averaged weights.

    Raises:
        SmaltiError: `out` holds a model (or, with `resume`, no run of these settings), or the loss is not finite.
    """
    out = Path(out)
    goes_on = resume and (bool(checkpoints(out)) or not (out / "train.json").exists())
    if goes_on:
        pipe = SmaltiPipeline.from_pretrained(out)
        if pipe.codec.fingerprint != latents.manifest["codec_fingerprint"]:
            raise SmaltiError(f"{out}: was trained on latents of another codec; resume with the same latents.")
    else:
        pipe = begin_generator(latents, model, training.seed)
    state = join_processes(device)
    asked = record(latents=latents.manifest, model=asdict(model), training=asdict(training))
    if state.is_main_process and not goes_on:
        _write_model(pipe, out, asked, replace=resume)
    pipe.to(state.device)

    def on_images(image: int, net: nn.Module) -> None:
        _replace_weights(pipe, out)
        if on_model is not None:
            on_model(image, pipe)

    train(
        pipe.net,
        LatentBatches(latents, pipe.process, training),
        generator_losses(pipe.process, pipe.codec),
        training,
        out,
        resume=goes_on,
        on_images=on_images,
        device=device,
        progress=progress,
    )
    if state.is_main_process:  # again, for a run that was killed when all but this was done
        _replace_weights(pipe, out)
        write_json(out / "train.json", asked)
    state.wait_for_everyone()
    return pipe


class LatentBatches:
    """The batch that starts at image n: latents, labels, times and noise, keyed by the images' numbers."""

    def __init__(self, latents: Latents, process: Process, settings: TrainSettings):
        self.latents = latents
        self.settings = settings
        self.noise_shape = (process.noise_channels, *latents.grid)
        self.self_conditioning = process.self_conditioning
        self._order = lru_cache(maxsize=2)(lambda epoch: keyed_order(settings.seed, epoch, len(latents)))

    def __call__(self, n: int) -> Batch:
        """Tensors z (B, c, h, w), label, t (B,) and noise (B, n, h, w); with self-conditioning recall (B,), 0 or 1."""
        seed = self.settings.seed
        numbers = range(n, n + self.settings.batch_size)
        rows = np.array([self._order(number // len(self.latents))[number % len(self.latents)] for number in numbers])
        dropped = torch.from_numpy(keyed_uniform(seed, "label dropout", numbers)) < self.settings.label_dropout
        batch = {
            "z": self.latents[rows],
            "label": self.latents.labels[rows].masked_fill(dropped, NO_LABEL),
            "t": self._times(np.array(numbers)),
            "noise": torch.from_numpy(keyed_normal(seed, "noise", numbers, self.noise_shape)),
        }
        if self.self_conditioning:
            batch["recall"] = torch.from_numpy(keyed_uniform(seed, "recall", numbers) < _RECALL).float()
        return batch

    def _times(self, numbers: np.ndarray) -> Tensor:
        """Times 0 ... T - 1 along a golden-ratio sequence: any run of images in a row covers them evenly."""
        start = keyed_uniform(self.settings.seed, "time", [0])[0]
        return torch.from_numpy(((start + numbers * _GOLDEN_RATIO) % 1 * TRAINING_TIMESTEPS).astype(np.int64))


def generator_losses(process: Process, codec: Codec) -> Callable[[nn.Module, Batch], dict[str, Float[Tensor, " B"]]]:
    """The losses of a process as a function of network and batch."""

    def losses(net: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " B"]]:
        t, label = batch["t"], batch["label"]
        state = process.corrupt(batch["z"], t, batch["noise"])
        previous = None
        if process.self_conditioning:
            with torch.no_grad():
                first = net(process.inputs(state), t, label).float()
                previous = process.mean(first, state, process.alpha[t], process.sigma[t])
                previous = previous * batch["recall"][:, None, None, None]
        out = net(process.inputs(state, previous), t, label)
        return process.losses(out, batch["z"], state, t, batch["noise"], codec.decode_soft)

    return losses


def _write_model(pipe: SmaltiPipeline, out: Path, asked: dict[str, Any], replace: bool) -> None:
    """Write a new model into `out`, beside what lies there: what was asked first, `model_index.json` last."""
    if replace:
        (out / "model_index.json").unlink(missing_ok=True)
    elif (out / "model_index.json").exists():
        raise SmaltiError(f"{out}: holds a model already; name a new folder, or resume.")
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "train.json", asked)
    shutil.rmtree(out / ".model", ignore_errors=True)
    with new_folder(out / ".model") as aside:
        pipe.save_pretrained(aside)
    for part in sorted((out / ".model").iterdir(), key=lambda path: path.name == "model_index.json"):
        shutil.rmtree(out / part.name, ignore_errors=True)
        part.rename(out / part.name)
    (out / ".model").rmdir()


def _replace_weights(pipe: SmaltiPipeline, out: Path) -> None:
    """Put the network's weights in the place of those in the model folder, in one step."""
    shutil.rmtree(out / ".net", ignore_errors=True)  # of a run that was killed here
    with new_folder(out / ".net") as aside:
        pipe.net.save_pretrained(aside)
    replace_file(out / ".net" / WEIGHTS, out / "net" / WEIGHTS)
    shutil.rmtree(out / ".net")
