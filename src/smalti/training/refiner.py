"""Training a model's refiner: pairs of a photo and what coding, or the generator, leaves of it."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from smalti.data import Images, open_as_encoded
from smalti.devices import fast, join_processes
from smalti.diffusion.process import TRAINING_TIMESTEPS
from smalti.files import (
    SmaltiError,
    fingerprint,
    new_folder,
    only_writer,
    read_json,
    record,
    require_at_least,
    write_json,
)
from smalti.nets import Refiner
from smalti.pipeline import SmaltiPipeline
from smalti.random import keyed_normal, keyed_uniform
from smalti.training.crops import CropBatches, hold_photos, most_photos
from smalti.training.loop import Batch, train
from smalti.training.mending import ERROR_SCALE, MendingSettings
from smalti.training.settings import TrainSettings
from smalti.training.state import checkpoints, require_same_settings

RUN = "refining"
"""Where, in a model folder, the training of its refiner is kept."""

Features = Callable[[Float[Tensor, "B C H W"]], Tensor]
"""What pictures on the scale 0..255 are compared by besides their pixels: any differentiable tensor (B, ...)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinerSettings(MendingSettings):
    """The network, what it is shown, and how it is trained."""

    pairs: int = 40_000
    """Pictures to train on, counted with repetition."""
    pairs_a_step: int = 32
    """Pictures a training step."""
    latest: int = 0
    """Latest time that the generator is shown a photo's latent at, whose guess is then what is refined: the later, the
    more it has to invent. 0 leaves the latent as it is, which is best where samples are good (benchmarks/table2.py)."""
    feature_weight: float = 1.0
    """Weight of the mean absolute difference of features, where there are any, beside that of pixels."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        MendingSettings.__post_init__(self)
        require_at_least(1, pairs=self.pairs, pairs_a_step=self.pairs_a_step)
        if not 0 <= self.latest < TRAINING_TIMESTEPS:
            raise SmaltiError(f"latest is {self.latest}; it must be from 0 to {TRAINING_TIMESTEPS - 1}.")
        if not self.feature_weight >= 0:
            raise SmaltiError(f"feature weight is {self.feature_weight}; it must be 0 or more.")

    def training(self, seed: int) -> TrainSettings:
        """The settings of the loop."""
        return self.loop(self.pairs, self.pairs_a_step, seed, checkpoint_every=max(self.pairs_a_step, self.pairs // 10))


def train_refiner(
    model: str | Path,
    images: Iterable[Tensor],
    settings: RefinerSettings = RefinerSettings(),
    *,
    features: Features | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str | None = None,
    progress: bool = True,
) -> SmaltiPipeline:
    """Train a refiner for the model in a folder, and put it there; return the model with it.

    The photos are encoded and decoded; photos are what the refiner learns to make of that. With `latest` their latents
    are corrupted in between, to a time of at most that, and given to the generator; what it takes them for is decoded.
    `images` are those that the model was trained on, cropped alike (`refining_photos`), or more of their kind. The run
    is kept in `refining/` of the model folder; once it is done the refiner takes its place there, or that of another.

    Raises:
        SmaltiError: there is no such model, the images or features do not suit it, there is nothing to resume or it was
            begun with other settings, or the loss is not finite.
    """
    folder = Path(model)
    require_folder(folder)
    pipe = SmaltiPipeline.from_pretrained(folder)
    height, width = pipe.size
    if height != width:
        raise SmaltiError(f"{folder}: makes pictures of {width}x{height} pixels; only square ones can be refined.")
    training = settings.training(seed)
    run = folder / RUN
    if resume and not checkpoints(run):
        raise SmaltiError(f"{run}: there is no checkpoint to resume from; start without --resume.")
    state = join_processes(device)
    pipe.to(state.device)
    if features is not None:
        _try(features, torch.zeros(2, pipe.codec.spec.planes, height, width, device=state.device))
    photos = hold_photos(images, pipe.codec.spec, height, progress)
    seen = {"codec": pipe.codec.fingerprint, "photos": fingerprint(*(photo.numpy() for photo in photos))}
    asked = asdict(settings) | {"features": features is not None, **seen}
    if resume:
        require_same_settings(read_json(run / "refine.json")["settings"], asked, run)
    if state.is_main_process and not resume:
        run.mkdir(exist_ok=True)
        with only_writer(run):
            shutil.rmtree(run / "checkpoints", ignore_errors=True)
            write_json(run / "refine.json", record(settings=asked, training=asdict(training)))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        refiner = settings.network(pipe.codec.spec)
    train(
        refiner,
        PairBatches(photos, pipe, settings.latest, training),
        refiner_losses(pipe, features, settings.feature_weight),
        training,
        run,
        resume=resume,
        device=device,
        progress=progress,
    )
    if state.is_main_process:
        _attach(refiner, folder)
    state.wait_for_everyone()
    pipe.register_modules(refiner=refiner)
    return pipe


class PairBatches:
    """The batch that starts at picture n: photos, and maybe times and noise at which the generator is shown them."""

    def __init__(
        self,
        photos: list[UInt8[Tensor, "C H W"]],
        pipe: SmaltiPipeline,
        latest: int,
        training: TrainSettings,
    ):
        self.photos = CropBatches(photos, pipe.size[0], training, turned=False)
        self.noise_shape = (pipe.process.noise_channels, *pipe.codec.spec.grid(*pipe.size))
        self.latest = latest
        self.training = training

    def __call__(self, n: int) -> Batch:
        """Tensors pixels (B, C, H, W) uint8; and t (B,) and noise (B, n, h, w), unless `latest` is 0."""
        if not self.latest:
            return self.photos(n)
        seed, numbers = self.training.seed, range(n, n + self.training.batch_size)
        late = keyed_uniform(seed, "refining time", numbers) * (self.latest + 1)
        return self.photos(n) | {
            "t": torch.from_numpy(late.astype(np.int64)),
            "noise": torch.from_numpy(keyed_normal(seed, "refining noise", numbers, self.noise_shape)),
        }


def refiner_losses(
    pipe: SmaltiPipeline, features: Features | None = None, feature_weight: float = 1.0
) -> Callable[[nn.Module, Batch], dict[str, Float[Tensor, " B"]]]:
    """Mean absolute differences of refined pictures and photos: of pixels, in units of 16 grey levels, and features."""
    codec, process, generator = pipe.codec, pipe.process, pipe.net

    @torch.no_grad()
    def coded(batch: Batch) -> UInt8[Tensor, "B C H W"]:
        """What is left of photos after coding, or what the generator takes them for at times t."""
        photos = batch["pixels"]
        with torch.autocast(photos.device.type, enabled=False):  # codes must be those of the codec as it is used
            z = codec.encode(photos)
            if "t" in batch:
                t = batch["t"]
                state = process.corrupt(z, t, batch["noise"])
                with fast(photos.device):
                    out = generator(process.inputs(state), t, None)
                z = process.latent(out.float(), state, process.alpha[t], process.sigma[t])
            return codec.decode(z, pipe.size)

    def losses(net: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " B"]]:
        photos = batch["pixels"].float()
        shown = coded(batch).float()
        with fast(shown.device):
            refined = net(shown.contiguous(memory_format=torch.channels_last)).float()
        terms = {"pixels": (refined - photos).abs().mean((1, 2, 3)) / ERROR_SCALE}
        if features is not None:
            with torch.autocast(shown.device.type, enabled=False):
                apart = (features(refined) - features(photos)).abs().flatten(1).mean(1)
            terms["features"] = feature_weight * apart
        return terms

    return losses


def require_folder(model: Path) -> None:
    """Refuse a model that lies in no folder here, where a refiner could be put.

    Raises:
        SmaltiError: there is no such folder.
    """
    if not model.is_dir():
        raise SmaltiError(f"{model}: there is no such folder; a model of the Hub has to be copied into one first.")


def refining_photos(photos: str | Path, manifest: dict[str, Any]) -> Images:
    """Photos for `train_refiner`, cropped as for the latents that `manifest` is of; of many, as many as can be held."""
    planes = 1 if manifest["crop"]["mode"] == "L" else 3
    return open_as_encoded(photos, manifest).sample(most_photos(manifest["size"][0], planes))


def _try(features: Features, pixels: Float[Tensor, "B C H W"]) -> None:
    """Refuse features that cannot be learned from before anything else is done."""
    found = features(pixels.requires_grad_())
    if not found.requires_grad:
        raise SmaltiError("the features have no gradient towards the pixels, so there is nothing to learn from them.")


def _attach(refiner: Refiner, folder: Path) -> None:
    """Put a refiner into a model folder, in the place of another; at any time the folder holds a whole model."""
    index = read_json(folder / "model_index.json")
    aside = folder / ".refiner"
    shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed here
    with new_folder(aside) as whole:
        refiner.save_pretrained(whole)
    write_json(folder / "model_index.json", index | {"refiner": [None, None]})
    shutil.rmtree(folder / "refiner", ignore_errors=True)
    aside.rename(folder / "refiner")
    write_json(folder / "model_index.json", index | {"refiner": ["smalti", "Refiner"]})
