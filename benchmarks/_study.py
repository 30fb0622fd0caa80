"""What comparisons of generators share: photos, latents, trainings and measurements, each kept when it is done."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smalti import (
    Codec,
    FeatureNetwork,
    GeneratorSettings,
    Images,
    Latents,
    ModelFolder,
    RefinerSettings,
    SampleSettings,
    SmaltiError,
    SmaltiPipeline,
    TrainSettings,
    encode_images,
    open_images,
    train_generator,
    train_refiner,
)
from smalti.devices import find_device
from smalti.diffusion import TRAINING_TIMESTEPS
from smalti.files import read_json, record, write_json
from smalti.metrics import Moments, frechet_distance_of, kernel_distance
from smalti.pipeline import Start
from smalti.random import keyed_generator
from smalti.recipes import as_held
from smalti.records import differences, to_record
from smalti.report import grid

HELD_OUT = 2_000
FIT_IMAGES = 5_000
_SHOWN = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Way(SampleSettings):
    """A way to sample a model: settings, and the refiner that finishes the pictures, if one does."""

    batch_size: int = 128
    refiner: RefinerSettings | None = None

    def __str__(self) -> str:
        plain = self.draws is False and self.temperature == 1.0
        said = ["expectation"] if plain else [] if self.temperature is None else [str(self.temperature)]
        # Steps that are spread evenly, at a temperature that stays, are how the rows of the paper are sampled.
        papers = self.cooling == 0.0 and self.spacing == 1.0
        own = {name: value for name, value in self._own.items() if name != "draws" and not (papers or plain)}
        said += [f"{name} {value:g}" for name, value in own.items()]
        return ", ".join([str(self.scheduler), *said, f"{self.steps} calls", *(["refined"] if self.refiner else [])])

    @property
    def _own(self) -> dict[str, float | bool]:
        """What is said besides scheduler, temperature and steps."""
        each = ("draws", "cooling", "extrapolation", "spacing")
        return {name: getattr(self, name) for name in each if getattr(self, name) is not None}

    def file(self, count: int) -> str:
        """Where its figures are kept."""
        refined = f"-refined-{self.refiner.latest}-{self.refiner.pairs}" if self.refiner else ""
        own = "".join(f"-{name}-{value}" for name, value in self._own.items())
        return f"{self.scheduler}-{self.temperature}{own}-{self.steps}-{count}{refined}.json"


class Study:
    """A folder with everything of a comparison; what lies there is not made again."""

    def __init__(
        self, photos: str, out: Path, features: Path, *, size: int, codec: str, count: int, held_out: int = HELD_OUT
    ):
        self.out = out
        self.codec_spec = codec
        self.count = count
        self.device = find_device()
        self.held, self.training = open_images(photos, size=size).split(held_out)
        self.network = FeatureNetwork(features, self.device)
        require_same(
            out / "study.json",
            {"photos": photos, "size": size, "codec": codec, "count": count, "held_out": held_out}
            | {"features": self.network.file},
        )

    @classmethod
    def at(cls, out: Path, features: Path) -> "Study":
        """The one that lies in a folder."""
        asked = read_json(out / "study.json")
        same = {name: asked[name] for name in ("size", "codec", "count", "held_out")}
        return cls(asked["photos"], out, features, **same)

    @cached_property
    def latents(self) -> Latents:
        """Those of all photos but the ones held out, the codec beside them."""
        folder = self.out / "latents"
        if not folder.is_dir():
            encode_images(self.training, Codec.fit(self.training.sample(FIT_IMAGES), self.codec_spec), folder)
        return Latents(folder)

    @cached_property
    def unsorted_latents(self) -> Latents:
        """The same with codewords in any order."""
        folder = self.out / "latents-unsorted"
        if not folder.is_dir():
            encode_images(self.training, shuffled(self.latents.codec()), folder)
        return Latents(folder)

    def counts(self, codec: Codec) -> Tensor:
        """How often each codeword occurs in the latents of that codec that were trained on."""
        of = self.latents if self.latents.manifest.codec_fingerprint == codec.fingerprint else self.unsorted_latents
        return of.counts

    def held_latents(self, codec: Codec) -> Latents:
        """Those of the photos held out."""
        return self._encoded("held", self.held, codec)

    def _encoded(self, name: str, photos: Images, codec: Codec) -> Latents:
        folder = self.out / f"{name}-{codec.fingerprint}"
        if not folder.is_dir():
            encode_images(photos, codec, folder, flips=False)
        return Latents(folder)

    @cached_property
    def _others(self) -> Images:
        """The photos that the floors are of, as many as are sampled."""
        return self.training.sample(self.count, seed=1)

    @cached_property
    def reference(self) -> Tensor:
        """Features of the photos held out."""
        path = self.out / "reference.pt"
        if not path.is_file():
            torch.save(self.network(self.held, total=len(self.held), desc="reference"), path)
        return torch.load(path, weights_only=True)

    def floors(self) -> dict[str, dict[str, Any]]:
        """What other photos, and those through the codec, score."""
        path = self.out / "floors.json"
        if not path.is_file():
            codec = self.latents.codec().to(self.device)
            real = self._others
            through = (codec.decode(codec.encode(photo[None].to(self.device)))[0].cpu() for photo in real)
            sets = {"real against real": real, "the same, through the codec": through}
            write_json(path, {name: self.figures(pictures) for name, pictures in sets.items()})
        return read_json(path)

    def train(
        self, row: str, model: GeneratorSettings, training: TrainSettings, latents: Latents | None = None
    ) -> Path:
        """Train the generator of a row and return its folder; a run that was cut off goes on."""
        run = self.run(row, model.net.kind, training)
        made = {"row": row, "model": _flat(model), "training": asdict(training)}

        def make() -> None:
            train_generator(latents or self.latents, run, model, training, resume=True)

        self.once(run, {"row": row, **_flat(model), **asdict(training)}, make, **made)
        return run

    def run(self, row: str, kind: str, training: TrainSettings) -> Path:
        """The folder of a training of a row."""
        return self.out / f"{row.replace(', ', '-').replace(' ', '_')}-{kind}-{training.seed}"

    def once(self, folder: Path, asked: dict[str, Any], make: Callable[[], object], **made: Any) -> dict[str, Any]:
        """Make what a folder is for, unless it is made; return what is kept of that, `seconds` among it."""
        require_same(folder / "row.json", asked)
        done = folder / "done.json"
        if not done.is_file():
            began = clock()
            make()
            write_json(done, record(**made, seconds=clock() - began))
        return read_json(done)

    def measure(self, run: Path, way: Way, begun_from: int | None = None) -> dict[str, Any]:
        """Sample a model in one way, and measure it.

        With `begun_from` sampling begins with latents under the noise of that time, of the photos that floors are of.
        """
        path = (run if begun_from is None else run / f"begun-from-{begun_from}") / way.file(self.count)
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() and way.refiner:
            give_refiner(run, as_held(self.training, self.training.settings), way.refiner)
        way = replace(way, refine=way.refiner is not None)  # the model may have the refiner of another row

        def pictures() -> Iterator[Tensor]:
            pipe = SmaltiPipeline.from_pretrained(run).to(self.device)
            pipe.set_progress_bar_config(disable=True)
            start = None if begun_from is None else self._start(run, begun_from)
            yield from pipe.stream(self.count, way, start=start)

        return self.measured(path, pictures, f"{run.name}, {way}", **to_record(way))

    def _start(self, run: Path, time: int) -> Start:
        latents = self._encoded("others", self._others, codec_of(run))
        return Start(latents[np.arange(len(latents))], time / TRAINING_TIMESTEPS)

    def measured(self, path: Path, pictures: Callable[[], Iterator[Tensor]], name: str, **made: Any) -> dict[str, Any]:
        """Measure pictures, which come in batches, and keep the figures, `made` beside them, and a sheet of the first.

        Where that is done the figures are read, and no picture is made.
        """
        if not path.is_file():
            kept: list[Tensor] = []

            def each() -> Iterator[Tensor]:
                for batch in pictures():
                    if not kept:
                        kept.append(batch[:_SHOWN])
                    yield from batch

            found = self.figures(each(), name)
            grid(kept[0], columns=16, scale=max(1, 64 // kept[0].shape[2])).save(path.with_suffix(".png"))
            write_json(path, made | found)
        return read_json(path)

    def figures(self, pictures: Iterable[Tensor], name: str = "pictures") -> dict[str, Any]:
        """Both distances of pictures to the photos held out."""
        return distances(self.network(pictures, total=self.count, desc=name), self.reference)

    @property
    def headers(self) -> list[str]:
        """Names of the two distances."""
        return [self.network.frechet_name, f"{self.network.kernel_name} x 1000"]


def clock() -> float:
    """Seconds of work until now: of the processor, whatever else it is busy with; on a GPU by the clock on the wall."""
    return process_time() if find_device().type == "cpu" else perf_counter()


def codec_of(run: Path) -> Codec:
    """The codec of a model, on the CPU."""
    return Codec.from_pretrained(run / "codec")


def give_refiner(run: Path, photos: Iterable[Tensor], settings: RefinerSettings) -> None:
    """Give a model such a refiner, in the place of another; a training that was cut off goes on."""
    done, asked = run / "refiner.json", to_record(settings)
    if done.is_file() and read_json(done) == asked:
        return
    done.unlink(missing_ok=True)
    refining = ModelFolder(run).refining
    begun = read_json(refining.record)["settings"] if refining.checkpoints else {}
    # What lies there may be of another refiner, which this one is not to go on with.
    train_refiner(run, photos, settings, resume=not differences(begun, asked))
    write_json(done, asked)


def require_same(path: Path, asked: dict[str, Any]) -> None:
    """Keep what was asked for in a file; where there is one already, refuse to go on if that was something else."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asked)
    changed = differences(read_json(path), asked)
    if changed:
        raise SmaltiError(f"{path}: was made with other settings ({'; '.join(changed)}); name another folder.")


def distances(found: Tensor, reference: Tensor) -> dict[str, Any]:
    """Both distances of features (N, D) to those of a reference (M, D)."""
    frechet = frechet_distance_of(found, Moments.of(reference))
    return {"frechet": asdict(frechet), "kernel": asdict(kernel_distance(found, reference).thousandfold)}


def cells(found: dict[str, Any]) -> list[str]:
    """The two distances, each with half of its 95 % interval."""
    return [
        f"{found[kind]['value']:.{digits}f} ± {found[kind]['plus_minus']:.{digits}f}"
        for kind, digits in (("frechet", 1), ("kernel", 0))
    ]


def shuffled(codec: Codec) -> Codec:
    """The codec with its codewords in any order: what the paper sorts."""
    other = Codec.from_config(codec.config)
    other.load_state_dict(codec.state_dict())
    for channel, size in enumerate(codec.spec.codewords):
        order = torch.from_numpy(keyed_generator(0, "shuffle", channel).permutation(size))
        other.codebooks[channel, :size] = codec.codebooks[channel, order]
        other.usage[channel, :size] = codec.usage[channel, order]
    return other


def _flat(model: GeneratorSettings) -> dict[str, Any]:
    """Settings of process and network side by side, as studies have always kept them."""
    parts = {name: to_record(settings) for name, settings in (("process", model.process), ("net", model.net))}
    kinds = {name: part.pop("kind") for name, part in parts.items()}
    return {**kinds, **parts["process"], **parts["net"]}
