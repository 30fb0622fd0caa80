"""Which way of modelling the codes is best: processes, coordinates and samplers against each other.

    python benchmarks/ablation.py PHOTOS --features NETWORK.pt --out FOLDER [--rows NAME ...] [--seeds 0 1]

Every row has the same photos, codec, network size, number of training images and sampled pictures. A row that is done
is kept in FOLDER and not made again, so the script can be stopped, and given more rows, at any time; the table is of
all that are there. Two rows at once take two processes with the same FOLDER and other --rows.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor

from _table import finish
from smalti import Codec, Latents, SmaltiPipeline, encode_images, open_images
from smalti.files import read_json, record, write_json
from smalti.metrics import FeatureNetwork, Moments, frechet_distance_of, kernel_distance
from smalti.pipeline import Temperature
from smalti.random import keyed_generator
from smalti.report import grid
from smalti.schedulers import make_scheduler
from smalti.training import GeneratorSettings, TrainSettings, train_generator

Samplers = tuple[tuple[str, Temperature], ...]

FIT_IMAGES = 5_000
HELD_OUT = 2_000
SHOWN = 64
DRAWS: Samplers = (("ddpm", 1.0), ("ddpm", 0.8), ("ddim", "expectation"))
PAPER_DRAWS: Samplers = (("ddpm", 0.0), ("ddpm", 0.5), ("ddpm", 1.0), ("ddpm", 2.2), ("ddim", "expectation"))


@dataclass(frozen=True)
class Row:
    """A training, and the ways it is sampled: scheduler and temperature."""

    settings: dict[str, Any] = field(default_factory=dict)
    samplers: Samplers = (("ddim", None),)
    shuffled: bool = False


CATEGORICAL = {"process": "categorical"}
RANK = {"coordinates": "rank", "k": 1}
ROWS = {
    "continuous, rank, unsorted": Row(RANK, shuffled=True),
    "continuous, rank": Row(RANK),
    "continuous, rank, dither": Row({**RANK, "dither": True}),
    "continuous, 1 principal": Row({"k": 1}),
    "continuous, 4 principal": Row(),
    "continuous, 4 principal, self-conditioning": Row({"self_conditioning": True}),
    "categorical, rank": Row({**CATEGORICAL, **RANK}, PAPER_DRAWS),
    "categorical, 4 principal": Row(CATEGORICAL, (*DRAWS, ("renoise", 1.0))),
    "categorical, 4 principal, image term": Row({**CATEGORICAL, "image_weight": 10.0}, DRAWS),
    "categorical, 4 principal, noise term": Row({**CATEGORICAL, "noise_weight": 1.0}, DRAWS),
    "categorical, 4 principal, self-conditioning": Row({**CATEGORICAL, "self_conditioning": True}, DRAWS),
    "categorical, 4 principal, likelihood": Row({**CATEGORICAL, "likelihood": True}, DRAWS),
    "multinomial": Row({"process": "multinomial"}, (("multinomial", 1.0),)),
    "masked": Row({"process": "masked"}, (("unmask", 1.0), ("unmask-halton", 1.0), ("unmask-random", 1.0))),
}


def shuffled(codec: Codec) -> Codec:
    """The codec with its codewords in any order: what the paper sorts."""
    other = Codec.from_config(codec.config)
    other.load_state_dict(codec.state_dict())
    for channel, size in enumerate(codec.spec.codewords):
        order = torch.from_numpy(keyed_generator(0, "shuffle", channel).permutation(size))
        other.codebooks[channel, :size] = codec.codebooks[channel, order]
        other.usage[channel, :size] = codec.usage[channel, order]
    return other


def prepare(photos: str, size: int, spec: str, out: Path) -> None:
    """Codec and latents of all photos but those held out, sorted and not."""
    images = open_images(photos, size=size)
    _, training = images.split(HELD_OUT)
    if not (out / "latents").is_dir():
        codec = Codec.fit(training.sample(FIT_IMAGES), spec)
        encode_images(training, codec, out / "latents")
    if not (out / "latents-unsorted").is_dir():
        encode_images(training, shuffled(Latents(out / "latents").codec()), out / "latents-unsorted")


def pictures(
    pipe: SmaltiPipeline, count: int, steps: int, temperature: Temperature, kept: list[Tensor]
) -> Iterator[Tensor]:
    pipe.set_progress_bar_config(disable=True)
    for batch in pipe.stream(count, batch_size=128, num_inference_steps=steps, temperature=temperature):
        if not kept:
            kept.append(batch[:SHOWN])
        yield from batch


def ablation(
    photos: str,
    /,
    *,
    features: Path,
    out: Path,
    rows: tuple[str, ...] = tuple(ROWS),
    seeds: tuple[int, ...] = (0,),
    images: int = 100_000,
    count: int = 2_000,
    steps: int = 50,
    size: int = 32,
    codec: str = "OPQ-32-8-8/4",
    net: str = "unet",
    width: int = 64,
    layers: int = 1,
    name: str = "ablation",
) -> None:
    """Train and measure rows; write `results/NAME.json`.

    Args:
        photos: to learn from; 2,000 are held out as the reference.
        features: the feature network.
        out: folder for codec, latents, models and what was measured.
        rows: which, by their names; all when left out.
        seeds: of training; each row is made with each.
        images: of training, counted with repetition.
        count: pictures to measure.
        steps: network calls a picture.
        size: of the pictures.
        codec: of all rows.
        net: unet or dit.
        width: of the network.
        layers: of the network.
        name: of the results.
    """
    prepare(photos, size, codec, out)
    network = FeatureNetwork(features)
    held, training = open_images(photos, size=size).split(HELD_OUT)
    if not (out / "floors.json").is_file():
        write_floors(network, held, training, Latents(out / "latents").codec(), count, out)
    reference = torch.load(out / "reference.pt", weights_only=True)
    for row in rows:
        for seed in seeds:
            model = GeneratorSettings(**{"net": net, "width": width, "layers": layers, **ROWS[row].settings})
            run = out / f"{row.replace(', ', '-').replace(' ', '_')}-{net}-{seed}"
            make(row, model, TrainSettings(images=images, checkpoint_every=images, seed=seed), run, out)
            for scheduler, temperature in ROWS[row].samplers:
                measure(run, scheduler, temperature, count, steps, network, reference)
    show(out, name, network, images=images, count=count, steps=steps, codec=codec, size=size)


def make(row: str, model: GeneratorSettings, training: TrainSettings, run: Path, out: Path) -> None:
    """Train a row, unless that is done; a run that was cut off goes on."""
    if (run / "done.json").is_file():
        return
    latents = Latents(out / ("latents-unsorted" if ROWS[row].shuffled else "latents"))
    train_generator(latents, run, model, training, resume=(run / "checkpoints").is_dir())
    write_json(run / "done.json", record(row=row, model=asdict(model), training=asdict(training)))


def measure(
    run: Path,
    scheduler: str,
    temperature: Temperature,
    count: int,
    steps: int,
    network: FeatureNetwork,
    reference: Tensor,
) -> None:
    """Sample a row in one way and measure it, unless that is done."""
    path = run / f"{scheduler}-{temperature}-{steps}-{count}.json"
    if path.is_file():
        return
    pipe = SmaltiPipeline.from_pretrained(run)
    pipe.scheduler = make_scheduler(scheduler, pipe.process)
    kept: list[Tensor] = []
    found = network(pictures(pipe, count, steps, temperature, kept), total=count, desc=f"{run.name} {scheduler}")
    grid(kept[0], columns=16, scale=2).save(path.with_suffix(".png"))
    write_json(path, {"scheduler": scheduler, "temperature": temperature, "steps": steps} | figures(found, reference))


def write_floors(network: FeatureNetwork, held: Any, training: Any, codec: Codec, count: int, out: Path) -> None:
    """What other photos, and those through the codec, score against the reference."""
    reference = network(held, total=len(held), desc="reference")
    torch.save(reference, out / "reference.pt")
    real = list(training.sample(count, seed=1))
    through = [codec.decode(codec.encode(photo[None]))[0] for photo in real]
    floors = {"real against real": real, "the same, through the codec": through}
    write_json(out / "floors.json", {name: figures(network(of), reference) for name, of in floors.items()})


def figures(found: Tensor, reference: Tensor) -> dict[str, Any]:
    frechet = frechet_distance_of(found, Moments.of(reference))
    return {"frechet": asdict(frechet), "kernel": asdict(kernel_distance(found, reference).thousandfold)}


def show(out: Path, name: str, network: FeatureNetwork, **asked: Any) -> None:
    """The table of all rows that are done."""
    table = [[floor, "", "", *cells(found)] for floor, found in read_json(out / "floors.json").items()]
    for done in sorted(out.glob("*/done.json"), key=lambda path: list(ROWS).index(read_json(path)["row"])):
        made = read_json(done)
        for path in sorted(done.parent.glob("*-*-*-*.json")):
            found = read_json(path)
            warmth = "" if found["temperature"] is None else f", {found['temperature']}"
            parts = [f"{made['row']}, {made['model']['net']}", f"{found['scheduler']}{warmth}, {found['steps']} calls"]
            table.append([*parts, made["training"]["seed"], *cells(found)])
    headers = ["process and coordinates", "sampler, temperature, calls", "seed"]
    headers += [network.frechet_name, f"{network.kernel_name} x 1000"]
    finish(name, headers, table, **asked)


def cells(found: dict[str, Any]) -> list[str]:
    return [
        f"{found[kind]['value']:.{digits}f} ± {found[kind]['plus_minus']:.{digits}f}"
        for kind, digits in (("frechet", 1), ("kernel", 0))
    ]


if __name__ == "__main__":
    tyro.cli(ablation)
