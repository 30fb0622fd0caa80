"""Ways to make pictures that `equal_minutes.py` compares: what each costs, how it is trained, sampled and measured."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from _pixels import (
    Learned,
    Net,
    Patches,
    Prediction,
    Schedule,
    Space,
    StateBatches,
    has_peer,
    make_net,
    make_sampler,
    sampled,
    size_of,
    state_losses,
)
from _study import FIT_IMAGES, Study, clock, give_refiner
from ablation import ROWS as TRAININGS
from smalti import Codec, GeneratorSettings, ModelFolder, RefinerSettings, SmaltiPipeline, TrainSettings
from smalti.files import read_json
from smalti.records import to_record
from smalti.training import begin_generator, refining_speed, speed, train, training_speed

BATCH = 128  # pictures made or encoded at a time


class Photos(Study):
    """A study that holds its photos in memory, for ways that do without our codec."""

    autoencoder: Path | None = None

    @cached_property
    def photos(self) -> Tensor:
        """All but the ones held out, uint8 (N, C, H, W)."""
        return torch.stack(list(self.training))

    @cached_property
    def both(self) -> Tensor:
        """The photos, and the same mirrored, as our latents are of both."""
        return torch.cat([self.photos, self.photos.flip(3)])

    @cached_property
    def coding(self) -> float:
        """Seconds that fitting the codec and encoding the photos take."""
        began = clock()
        codec = Codec.fit(list(self.photos[:FIT_IMAGES]), self.codec_spec, progress=False)
        for part in self.both.split(BATCH):
            codec.encode(part)
        return clock() - began

    @cached_property
    def parameters(self) -> int:
        """Of the network of our default, which others are to have as many as."""
        return size_of(begin_generator(self.latents, GeneratorSettings()).net)

    @cached_property
    def patches(self) -> Space:
        """Pixels on the grid of our codec."""
        return Patches(self.both, self.latents.codec().spec.patch)

    @cached_property
    def plain(self) -> Space:
        """Pixels on a grid of their own."""
        return Patches(self.both, 1)

    @cached_property
    def learned(self) -> Space:
        """Latents of the autoencoder that was given."""
        assert self.autoencoder is not None
        return Learned(self.both, self.autoencoder)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a way costs: seconds before its training, and what fits into a second of that."""

    before: float
    images: float
    pairs: float = 0.0
    """Of the refiner."""


@dataclass(frozen=True, kw_only=True)
class Row(ABC):
    """A way: how it is trained, and how it is sampled."""

    learning_rate: float = TrainSettings().learning_rate

    def training(self, images: int, seed: int) -> TrainSettings:
        """Settings for so many images; what depends on these does as `smalti create` lets it."""
        batch = TrainSettings().batch_size
        images = max(1, images // batch) * batch
        return TrainSettings(
            images=images,
            learning_rate=self.learning_rate,
            warmup=min(TrainSettings().warmup, images // 10),
            ema_halflife=max(batch, min(images // 20, 50_000)),
            checkpoint_every=images,
            seed=seed,
        )

    @abstractmethod
    def missing(self, study: Photos) -> str | None:
        """What it cannot do without and is not there."""

    @abstractmethod
    def cost(self, study: Photos) -> Cost:
        """Measure it."""

    @abstractmethod
    def points(
        self, study: Photos, name: str, training: TrainSettings, pairs: int, steps: int
    ) -> Iterator[dict[str, Any]]:
        """Train it, sample it in each of its ways, and measure that: figures, `seconds`, `parameters`, `sampler`."""


@dataclass(frozen=True, kw_only=True)
class Ours(Row):
    """A row of `ablation.py`, the first way that it is sampled in, and maybe a refiner."""

    row: str
    refined: bool = False

    @property
    def model(self) -> GeneratorSettings:
        """Process and network."""
        return GeneratorSettings(process=TRAININGS[self.row].process, net=TRAININGS[self.row].net)

    def training(self, images: int, seed: int) -> TrainSettings:
        """With the optimizer of the row; AdamW has half of the learning rate."""
        return TRAININGS[self.row].training(super().training(images, seed))

    def missing(self, study: Photos) -> str | None:
        """Nothing."""

    def cost(self, study: Photos) -> Cost:
        """That of the generator, and of the refiner where there is one."""
        images = training_speed(study.latents, self.model, self.training(1, 0), clock=clock)
        pairs = refining_speed(study.latents, self.model, RefinerSettings(), clock=clock) if self.refined else 0.0
        return Cost(before=study.coding, images=images, pairs=pairs)

    def points(
        self, study: Photos, name: str, training: TrainSettings, pairs: int, steps: int
    ) -> Iterator[dict[str, Any]]:
        """One point."""
        run = study.train(name, self.model, training)
        seconds = read_json(run / "done.json")["seconds"]
        refiner = RefinerSettings(pairs=pairs) if self.refined else None
        if refiner:

            def refine() -> None:
                give_refiner(run, study.photos, refiner)

            seconds += study.once(run / "refined", to_record(refiner), refine)["seconds"]
        way = replace(TRAININGS[self.row].ways[0], steps=steps, refiner=refiner)
        found = study.measure(run, way)
        pipe = SmaltiPipeline.from_pretrained(run)
        parameters = size_of(pipe.net) + (size_of(pipe.refiner) if pipe.refiner else 0)
        yield found | {"seconds": seconds, "parameters": parameters, "sampler": str(way)}


@dataclass(frozen=True, kw_only=True)
class Peer(Row):
    """Diffusion without our codec: what states are, the network, and what that predicts."""

    space: Literal["patches", "plain", "learned"]
    net: Net
    prediction: Prediction = "v"
    schedule: Schedule = "squaredcos_cap_v2"
    samplers: tuple[str, ...] = ("ddim", "dpmsolver++")
    optimizer: Literal["adamw", "muon"] = "muon"

    def training(self, images: int, seed: int) -> TrainSettings:
        """With its own optimizer."""
        return replace(super().training(images, seed), optimizer=self.optimizer)

    def missing(self, study: Photos) -> str | None:
        """A package or an autoencoder."""
        if self.net == "peer" and not has_peer():
            return "denoising-diffusion-pytorch is not installed"
        return "there is no --autoencoder" if self.space == "learned" and study.autoencoder is None else None

    def cost(self, study: Photos) -> Cost:
        """That of making states and of training."""
        space, training = self._space(study), self.training(1, 0)
        net, batches = self._net(study, 0), StateBatches(space.clean, 0)
        losses = state_losses(self.prediction, self.schedule)
        return Cost(before=space.seconds, images=speed(net, batches, losses, training, clock=clock))

    def points(
        self, study: Photos, name: str, training: TrainSettings, pairs: int, steps: int
    ) -> Iterator[dict[str, Any]]:
        """One point a sampler."""
        space, run, net = self._space(study), study.run(name, self.net, training), self._net(study, training.seed)
        asked = {"row": name, "space": self.space, "prediction": self.prediction, "schedule": self.schedule}
        autoencoder = str(study.autoencoder) if self.space == "learned" else None
        asked |= {"autoencoder": autoencoder, "parameters": size_of(net), **asdict(training)}

        def learn() -> None:
            batches = StateBatches(space.clean, training.seed)
            train(net, batches, state_losses(self.prediction, self.schedule), training, run)
            torch.save(net.state_dict(), run / "net.pt")
            ModelFolder(run).generator.clear()

        seconds = study.once(run, asked, learn, **asked)["seconds"]
        net.load_state_dict(torch.load(run / "net.pt", weights_only=True))
        net.to(study.device, memory_format=torch.channels_last).eval()
        for each in self.samplers:
            sampler = make_sampler(each, self.prediction, self.schedule, space.bounded)

            def pictures(sampler: Any = sampler) -> Iterator[Tensor]:
                for first in range(0, study.count, BATCH):
                    numbers = range(first, min(first + BATCH, study.count))
                    yield space.pixels(sampled(net, sampler, steps, numbers, tuple(space.clean.shape[1:])))

            found = study.measured(run / f"{each}-{steps}-{study.count}.json", pictures, f"{run.name}, {each}")
            yield found | {"seconds": seconds, "parameters": size_of(net), "sampler": f"{each}, {steps} calls"}

    def _space(self, study: Photos) -> Space:
        return getattr(study, self.space)

    def _net(self, study: Photos, seed: int) -> Any:
        channels, side = self._space(study).clean.shape[1:3]
        return make_net(self.net, channels, side, study.parameters, seed)
