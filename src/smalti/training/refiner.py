"""Training a model's refiner: pairs of a photo and what coding, or the generator, leaves of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from smalti.codec import CodecSpec
from smalti.devices import fast, join_processes
from smalti.diffusion import TRAINING_TIMESTEPS
from smalti.errors import SmaltiError, require_at_least
from smalti.files import fingerprint, read_json, write_record
from smalti.locks import only_writer
from smalti.model_folder import ModelFolder, Run
from smalti.nets import Refiner
from smalti.pipeline import SmaltiPipeline, common_size
from smalti.random import keyed_normal, keyed_uniform
from smalti.records import from_record
from smalti.training.checkpoints import parts_of
from smalti.training.crops import CropBatches, hold_photos
from smalti.training.learner import Batch, Losses
from smalti.training.loop import train
from smalti.training.mending import ERROR_SCALE, MendingSettings
from smalti.training.settings import TrainSettings
from smalti.training.tracking import TrackerName, require_tracker

FeatureFunction = Callable[[Float[Tensor, "B C H W"]], Tensor]
"""What pictures in grey levels are compared by besides their pixels: any differentiable tensor (B, ...)."""


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

    def network(self, spec: CodecSpec) -> Refiner:
        """The network for pictures of a codec, untrained."""
        return Refiner(spec.planes, spec.patch, self.network_width, self.network_blocks)

    def training(self, seed: int) -> TrainSettings:
        """The settings of the loop."""
        return self.loop(self.pairs, self.pairs_a_step, seed, checkpoint_every=max(self.pairs_a_step, self.pairs // 10))


def train_refiner(
    model: str | Path,
    images: Iterable[Tensor],
    settings: RefinerSettings = RefinerSettings(),
    *,
    features: FeatureFunction | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str | None = None,
    processes: int | None = 1,
    log_with: TrackerName | None = None,
    progress: bool = True,
) -> SmaltiPipeline:
    """Train a refiner for the model in a folder, and put it there; return the model with it.

    The photos are encoded and decoded; photos are what the refiner learns to make of that. With `latest` their latents
    are corrupted in between, to a time of at most that, and given to the generator; what it takes them for is decoded.
    `images` are those that the model was trained on, cropped alike, or more of their kind. The run is kept in the model
    folder; once it is done the refiner takes its place there, or that of another. With `resume` a run goes on from its
    last checkpoint, or begins where it had not come to one; one that is done is extended, where more pairs are asked
    for. For `processes` and `log_with` see `train`.

    Raises:
        SmaltiError: there is no such model, the images or features do not suit it, a run to resume was begun otherwise,
            the loss is not finite, or the tracker is not installed.
    """
    require_tracker(log_with)  # before anything is written
    folder = ModelFolder.here(model)
    pipe = SmaltiPipeline.from_pretrained(folder.path)
    training, run = settings.training(seed), folder.refining
    state = join_processes(device)
    pipe.to(state.device)
    size = common_size(pipe.sizes, pipe.size)
    if features is not None:
        _try(features, torch.zeros(2, pipe.codec.spec.planes, *size, device=state.device))
    photos = hold_photos(images, pipe.codec, size, progress)
    seen = {"codec": pipe.codec.fingerprint, "photos": fingerprint(*(photo.numpy() for photo in photos))}
    begun = asdict(settings) | {"features": features is not None, **seen}
    if resume and run.checkpoints:
        training = replace(_begun_with(run), images=settings.pairs, seed=seed)
    if state.is_main_process:
        run.folder.mkdir(exist_ok=True)
        with only_writer(run.folder):
            if not resume:
                run.clear()
            if not run.checkpoints:
                write_record(run.record, settings=begun, training=asdict(training))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        refiner = settings.network(pipe.codec.spec)
        refiner.make_for(pipe.codec.fingerprint)
    train(
        refiner,
        PairBatches(photos, pipe, settings.latest, training),
        refiner_losses(pipe, features, settings.feature_weight),
        training,
        run.folder,
        begun=begun,
        resume=resume,
        device=device,
        processes=processes,
        log_with=log_with,
        progress=progress,
        desc="training the refiner",
    )
    if state.is_main_process:
        folder.replace_refiner(refiner)
        parts = parts_of(run)
        write_record(run.record, settings=begun, training=asdict(training), pairs_trained=run.trained, parts=parts)
    state.wait_for_everyone()
    pipe.register_modules(refiner=refiner)
    return pipe


def _begun_with(run: Run) -> TrainSettings:
    """How a run is trained that goes on: much of that follows from how many pairs it was begun for."""
    return from_record(TrainSettings, read_json(run.record)["training"], run.record)


class PairBatches:
    """Photos by their running numbers, and maybe levels and noise at which the generator is shown them.

    Photos of several sizes are cropped to what fits into all.
    """

    def __init__(
        self,
        photos: Sequence[Integer[Tensor, "C H W"]],
        pipe: SmaltiPipeline,
        latest: int,
        training: TrainSettings,
    ):
        size = common_size(pipe.sizes, pipe.size)
        self.photos = CropBatches(photos, size, training.seed, turned=False)
        self.noise_shape = (pipe.process.noise_channels, *pipe.codec.spec.grid(*size))
        self.latest = latest
        self.seed = training.seed

    def __call__(self, numbers: Sequence[int]) -> Batch:
        """Tensors pixels (B, C, H, W); and position (B,) and noise (B, n, h, w), unless `latest` is 0."""
        if not self.latest:
            return self.photos(numbers)
        late = keyed_uniform(self.seed, "refining time", numbers) * (self.latest + 1)
        return self.photos(numbers) | {
            "position": torch.from_numpy((late.astype(np.int64) + 0.5) / TRAINING_TIMESTEPS),
            "noise": torch.from_numpy(keyed_normal(self.seed, "refining noise", numbers, self.noise_shape)),
        }


def refiner_losses(
    pipe: SmaltiPipeline, features: FeatureFunction | None = None, feature_weight: float = 1.0
) -> Losses:
    """Mean absolute differences of refined pictures and photos: of pixels, in units of 16 grey levels, and features."""
    codec, process, generator = pipe.codec, pipe.process, pipe.net

    @torch.no_grad()
    def coded(batch: Batch) -> Integer[Tensor, "B C H W"]:
        """What is left of photos after coding, or what the generator takes them for at some level."""
        photos = batch["pixels"]
        with torch.autocast(photos.device.type, enabled=False):  # codes must be those of the codec as it is used
            z = codec.encode(photos)
            if "position" in batch:
                level = process.level(batch["position"])
                state = process.corrupt(z, level, batch["noise"])
                with fast(photos.device):
                    out = generator(process.inputs(state), process.time(level), None)
                z = process.latent(out.float(), state, level)
            return codec.decode(z, (photos.shape[2], photos.shape[3]))

    def losses(net: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " B"]]:
        photos = codec.pixel_format.levels(batch["pixels"])
        shown = codec.pixel_format.levels(coded(batch))
        with fast(shown.device):
            refined = net(shown.contiguous(memory_format=torch.channels_last)).float()
        terms = {"pixels": (refined - photos).abs().mean((1, 2, 3)) / ERROR_SCALE}
        if features is not None:
            with torch.autocast(shown.device.type, enabled=False):
                apart = (features(refined) - features(photos)).abs().flatten(1).mean(1)
            terms["features"] = feature_weight * apart
        return terms

    return losses


def _try(features: FeatureFunction, pixels: Float[Tensor, "B C H W"]) -> None:
    """Refuse features that cannot be learned from before anything else is done."""
    found = features(pixels.requires_grad_())
    if not found.requires_grad:
        raise SmaltiError("the features have no gradient towards the pixels, so there is nothing to learn from them.")
