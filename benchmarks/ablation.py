"""Which way of modelling the codes is best: processes, coordinates and samplers against each other.

    python benchmarks/ablation.py PHOTOS --features NETWORK.pt --out FOLDER [--rows NAME ...] [--seeds 0 1]

Every row has the same photos, codec, network size, number of training images and sampled pictures. A row that is done
is kept in FOLDER and not made again, so the script can be stopped, and given more rows, at any time; the table is of
all that are there. Two rows at once take two processes with the same FOLDER and other --rows.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from _study import Study, Way, cells
from _table import finish
from smalti.files import read_json
from smalti.pipeline import Temperature
from smalti.training import GeneratorSettings, TrainSettings

Samplers = tuple[tuple[str, Temperature], ...]

DRAWS: Samplers = (("ddpm", 0.5),)
PAPER_DRAWS: Samplers = (("ddpm", 0.0), ("ddpm", 0.5), ("ddpm", 1.0), ("ddpm", 2.2), ("ddim", "expectation"))


@dataclass(frozen=True)
class Row:
    """A training, and the ways it is sampled: scheduler and temperature."""

    settings: dict[str, Any] = field(default_factory=dict)
    samplers: Samplers = (("ddim", None),)
    shuffled: bool = False


CONTINUOUS = {"process": "continuous"}
CATEGORICAL = {"process": "categorical"}
RANK = {"coordinates": "rank", "k": 1}
ROWS = {
    "continuous, rank, unsorted": Row({**CONTINUOUS, **RANK}, shuffled=True),
    "continuous, rank": Row({**CONTINUOUS, **RANK}),
    "continuous, rank, dither": Row({**CONTINUOUS, **RANK, "dither": True}),
    "continuous, 1 principal": Row({**CONTINUOUS, "k": 1}),
    "continuous, 4 principal": Row(CONTINUOUS),
    "continuous, 4 principal, self-conditioning": Row({**CONTINUOUS, "self_conditioning": True}),
    "categorical, rank": Row({**CATEGORICAL, **RANK}, PAPER_DRAWS),
    "categorical, 4 principal": Row(CATEGORICAL, (*DRAWS, ("ddpm", 0.8), ("ddpm", 1.0), ("ddim", "expectation"))),
    "categorical, 4 principal, image term": Row({**CATEGORICAL, "image_weight": 10.0}, DRAWS),
    "categorical, 4 principal, noise term": Row({**CATEGORICAL, "noise_weight": 1.0}, DRAWS),
    "categorical, 4 principal, self-conditioning": Row({**CATEGORICAL, "self_conditioning": True}, DRAWS),
    "categorical, 4 principal, likelihood": Row({**CATEGORICAL, "likelihood": True}, DRAWS),
    "multinomial": Row({"process": "multinomial"}, (("multinomial", 1.0),)),
    "masked": Row({"process": "masked"}, (("unmask-halton", 0.5), ("unmask-halton", 1.0))),
}


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
    study = Study(photos, out, features, size=size, codec=codec, count=count)
    study.floors()
    for row in rows:
        for seed in seeds:
            model = GeneratorSettings(**{"net": net, "width": width, "layers": layers, **ROWS[row].settings})
            run = study.run(row, net, seed)
            latents = study.unsorted_latents if ROWS[row].shuffled else study.latents
            study.train(row, run, model, TrainSettings(images=images, checkpoint_every=images, seed=seed), latents)
            for scheduler, temperature in ROWS[row].samplers:
                study.measure(run, Way(scheduler, temperature, steps))
    show(study, name, images=images, count=count, steps=steps, codec=codec, size=size)


def show(study: Study, name: str, **asked: Any) -> None:
    """The table of all rows that are done."""
    table = [[floor, "", "", str(study.count), *cells(found)] for floor, found in study.floors().items()]
    for done in sorted(
        study.out.glob("*/done.json"), key=lambda path: (list(ROWS).index(read_json(path)["row"]), path)
    ):
        made = read_json(done)
        for path in sorted(done.parent.glob("*-*-*-*.json"), key=lambda path: [len(path.stem), path.stem]):
            found = read_json(path)
            if found.get("refiner"):  # of table2.py, in the same folder
                continue
            way = Way(found["scheduler"], found["temperature"], found["steps"])
            seed, count = str(made["training"]["seed"]), path.stem.split("-")[-1]
            table.append([f"{made['row']}, {made['model']['net']}", str(way), seed, count, *cells(found)])
    headers = ["process and coordinates", "sampler, temperature, calls", "seed", "pictures", *study.headers]
    finish(name, headers, table, **asked)


if __name__ == "__main__":
    tyro.cli(ablation)
