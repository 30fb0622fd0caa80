"""Training a generator on latents: its batches, its losses, and the model folder it grows in."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor, nn

from smalti.codec import Codec
from smalti.data import AnyLatents, open_latents
from smalti.devices import join_processes
from smalti.diffusion import CategoricalSettings, Process, ProcessSettings
from smalti.errors import SmaltiError
from smalti.files import read_json, write_record
from smalti.locks import only_writer
from smalti.model_folder import ModelFolder
from smalti.nets import NO_LABEL, NetSettings, UNetSettings
from smalti.pipeline import SmaltiPipeline
from smalti.random import Turns, keyed_normal, keyed_positions, keyed_uniform
from smalti.records import differences, to_record
from smalti.schedulers import make_scheduler
from smalti.training.checkpoints import parts_of
from smalti.training.held_out import HeldOutLoss
from smalti.training.learner import Batch, Losses
from smalti.training.levels import write_levels
from smalti.training.loop import train
from smalti.training.origin import Origin
from smalti.training.settings import TrainSettings
from smalti.training.tracking import TrackerName, require_tracker

_RECALL = 0.5  # share of images of self-conditioning that are shown an estimate

OnModel = Callable[[int, SmaltiPipeline], Image.Image | None]
"""What is done at checkpoints; a sample grid that it returns is for the tracker."""

OnHeldOut = Callable[[SmaltiPipeline], float]
"""The loss of a model on what it is not trained on, the same for the same weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSettings:
    """What is trained: a process and a network, each with settings of its own."""

    process: ProcessSettings = CategoricalSettings()
    net: NetSettings = UNetSettings()


def begin_generator(latents: AnyLatents, settings: GeneratorSettings, seed: int = 0) -> SmaltiPipeline:
    """An untrained model for some latents; its first weights follow from the seed.

    Raises:
        SmaltiError: they are of several sizes, and the network is bound to one.
    """
    codec = latents.codec()
    process = settings.process.build(codec, latents.counts)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = settings.net.build(
            process.in_channels,
            process.out_channels,
            latents.grid,
            len(latents.classes),
            process.coordinates.table,
            settings.process.head_features,
        )
    several = [[*part.size, part.images] for part in latents.parts] if len(latents.parts) > 1 else None
    if several and not net.any_grid:
        raise SmaltiError(
            f"a {type(net).__name__} is bound to one grid of places, and {latents.folder} has {len(several)}; take a "
            "U-Net, or photos that do not keep their shapes."
        )
    scheduler = make_scheduler(process.default_scheduler, process)
    return SmaltiPipeline(codec, process, net, scheduler, list(latents.size), latents.classes, sizes=several)


def train_generator(
    latents: AnyLatents,
    out: str | Path,
    model: GeneratorSettings,
    training: TrainSettings,
    *,
    origin: Origin | None = None,
    held_out: OnHeldOut | None = None,
    guard: bool = False,
    resume: bool = False,
    on_model: OnModel | None = None,
    device: str | None = None,
    processes: int | None = 1,
    resident: bool = False,
    log_with: TrackerName | None = None,
    progress: bool = True,
) -> SmaltiPipeline:
    """Train a generator on latents, in a model folder that can be loaded at any time from the first checkpoint on.

    With `resume` a run in `out` goes on from its last checkpoint, or begins where it had not come to one; one that is
    done is extended, where more images are asked for. `on_model` is called at every checkpoint with the images seen and
    the model with its averaged weights. For `processes` see `train`. With `resident` the device holds all latents from
    the start.

    With an `origin` the run begins with the weights of that model, whose classes come first. What `held_out` measures
    is kept in `metrics.jsonl`. With `guard` the model is that of its lowest, and the run ends when it rises.

    The tracker `log_with` (tensorboard, trackio or wandb) gets what `metrics.jsonl` does, and pictures that `on_model`
    returns.

    Raises:
        SmaltiError: `out` holds a model (or, with `resume`, a run that was begun otherwise, or has come further), the
            loss is not finite, the origin is of another kind, or the tracker is not installed.
    """
    require_tracker(log_with)  # before anything is written
    folder = ModelFolder(out)
    state = join_processes(device)
    begun = {**to_record(model), "latents": latents.manifest.fingerprint}
    begun |= {"weights_begun_with": origin.fingerprint if origin else None}
    asked = {"latents": to_record(latents.manifest), "model": to_record(model), "training": asdict(training)}
    if origin:
        origin.require_like(latents, asked["model"])
        latents = latents.of_classes(origin.classes_with(latents.classes))
        asked["from"] = origin.record
    with ExitStack() as held:
        if state.is_main_process:
            held.enter_context(only_writer(folder.path))
        goes_on = resume and bool(folder.generator.checkpoints)
        if goes_on:
            pipe = SmaltiPipeline.from_pretrained(folder.path)
        else:
            if resume:
                folder.generator.require_nothing_to_lose()
                _require_same_data(folder, asked)
            pipe = begin_generator(latents, model, training.seed)
            if origin:
                origin.begin(pipe)
            if state.is_main_process:
                folder.begin(pipe, asked, again=resume)
        pipe.to(state.device)

        def keep(image: int) -> None:
            measured = HeldOutLoss.read(folder.generator.metrics)
            lowest, _ = measured.lowest or (image, None)
            weights_of = image
            if not guard or lowest == image:
                folder.replace_net(pipe.net)
            else:  # not always the lowest: without the guard they were replaced
                weights_of = read_json(folder.generator.record).get("weights_of", lowest)
            write_levels(folder.generator.metrics, pipe.process, folder.levels)
            kept = {"weights_of": weights_of, "ended_early": guard and measured.rises}
            parts = parts_of(folder.generator)
            write_record(folder.generator.record, **asked, images_trained=image, parts=parts, **kept)

        def on_images(image: int, net: nn.Module) -> Image.Image | None:
            keep(image)
            return None if on_model is None else on_model(image, pipe)

        if resident:
            latents = open_latents(latents.folder, state.device, latents.classes)
        train(
            pipe.net,
            LatentBatches(latents, pipe.process, training),
            generator_losses(pipe.process, pipe.codec),
            training,
            folder.path,
            begun=begun,
            resume=goes_on,
            on_images=on_images,
            held_out=partial(held_out, pipe) if held_out else None,
            guard=guard,
            device=device,
            processes=processes,
            log_with=log_with,
            progress=progress,
        )
        if state.is_main_process:  # again, for a run that was killed when all but this was done
            keep(folder.generator.trained)
        state.wait_for_everyone()
    return SmaltiPipeline.from_pretrained(folder.path).to(pipe.device) if guard else pipe


def _require_same_data(folder: ModelFolder, asked: dict[str, Any]) -> None:
    """Refuse to begin a run again on other latents than it was begun with.

    Raises:
        SmaltiError: so it is.
    """
    begun = folder.trained_on()
    if begun and (changed := differences(begun, asked["latents"], {"digests"})):
        raise SmaltiError(f"{folder}: was begun with other latents ({'; '.join(changed[:3])}); resume with the same.")


class LatentBatches:
    """Images by their running numbers: latents, labels, positions on the noise schedule, and noise.

    Of latents of several sizes each batch is of one, the same whoever asks for how much of it.
    """

    def __init__(self, latents: AnyLatents, process: Process, settings: TrainSettings):
        self.parts = latents.parts
        self.settings = settings
        self.noise_channels = process.noise_channels
        self.self_conditioning = process.self_conditioning
        self._turns = Turns(settings.seed, [len(part) for part in self.parts], settings.batch_size)

    def __call__(self, numbers: Sequence[int]) -> Batch:
        """Tensors z (B, c, h, w), label (B,), position (B,) and noise (B, n, h, w).

        Of several labels one is shown, by chance. With self-conditioning also recall (B,), 0 or 1.
        """
        seed, (part, rows) = self.settings.seed, self._turns(numbers)
        latents = self.parts[part]
        dropped = torch.from_numpy(keyed_uniform(seed, "label dropout", numbers)) < self.settings.label_dropout
        batch = {
            "z": latents[rows],
            "label": self._shown(latents.labels_of(rows), numbers).masked_fill(dropped, NO_LABEL),
            "position": torch.from_numpy(keyed_positions(seed, numbers)),
            "noise": torch.from_numpy(keyed_normal(seed, "noise", numbers, (self.noise_channels, *latents.grid))),
        }
        if self.self_conditioning:
            batch["recall"] = torch.from_numpy(keyed_uniform(seed, "recall", numbers) < _RECALL).float()
        return batch

    def _shown(self, labels: Int64[Tensor, "B L"], numbers: Sequence[int]) -> Int64[Tensor, " B"]:
        """One label of each."""
        if labels.shape[1] == 1:
            return labels[:, 0]
        chance = torch.from_numpy(keyed_uniform(self.settings.seed, "label of several", numbers))
        return labels.gather(1, (chance * (labels != NO_LABEL).sum(1)).long()[:, None])[:, 0]


def generator_losses(process: Process, codec: Codec) -> Losses:
    """The losses of a process as a function of network and batch."""

    def losses(net: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " B"]]:
        level, label = process.level(batch["position"]), batch["label"]
        time = process.time(level)
        state = process.corrupt(batch["z"], level, batch["noise"])
        previous = None
        if process.self_conditioning:
            with torch.no_grad():
                first = net(process.inputs(state), time, label).float()
                previous = process.estimate(first, state, level) * batch["recall"][:, None, None, None]
        out = net(process.inputs(state, previous), time, label)
        return process.losses(out, batch["z"], state, level, batch["noise"], codec.decode_soft)

    return losses
