"""Which way of modelling the codes is best: processes, coordinates and samplers against each other.

    python benchmarks/ablation.py PHOTOS --features NETWORK.pt --out FOLDER [--rows NAME ...] [--seeds 0 1]

Every row has the same photos, codec, network size, number of training images and sampled pictures. A row that is done
is kept in FOLDER and not made again, so the script can be stopped, and given more rows, at any time; the table is of
all that are there. Two rows at once take two processes with the same FOLDER and other --rows.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import tyro

from _study import Study, Way, cells
from _table import finish
from smalti import (
    CategoricalSettings,
    ContinuousSettings,
    GeneratorSettings,
    MaskedSettings,
    MultinomialSettings,
    NetSettings,
    ProcessSettings,
    TrainSettings,
)
from smalti.files import read_json
from smalti.pipeline import Temperature


def _draws(*temperatures: Temperature) -> tuple[Way, ...]:
    return tuple(Way(scheduler="ddpm", temperature=temperature) for temperature in temperatures)


DDIM = (Way(scheduler="ddim"),)
EXPECTATION = Way(scheduler="ddim", temperature="expectation")


@dataclass(frozen=True)
class Row:
    """A training, and the ways it is sampled; how many steps each takes is said on the command line."""

    process: ProcessSettings
    ways: tuple[Way, ...] = DDIM
    shuffled: bool = False


ROWS = {
    "continuous, rank, unsorted": Row(ContinuousSettings(coordinates="rank", k=1), shuffled=True),
    "continuous, rank": Row(ContinuousSettings(coordinates="rank", k=1)),
    "continuous, rank, dither": Row(ContinuousSettings(coordinates="rank", k=1, dither=True)),
    "continuous, 1 principal": Row(ContinuousSettings(k=1)),
    "continuous, 4 principal": Row(ContinuousSettings()),
    "continuous, 4 principal, self-conditioning": Row(ContinuousSettings(self_conditioning=True)),
    "categorical, rank": Row(CategoricalSettings(coordinates="rank", k=1), (*_draws(0.0, 0.5, 1.0, 2.2), EXPECTATION)),
    "categorical, 4 principal": Row(CategoricalSettings(), (*_draws(0.5, 0.8, 1.0), EXPECTATION)),
    "categorical, 4 principal, image term": Row(CategoricalSettings(image_weight=10.0), _draws(0.5)),
    "categorical, 4 principal, noise term": Row(CategoricalSettings(noise_weight=1.0), _draws(0.5)),
    "categorical, 4 principal, self-conditioning": Row(CategoricalSettings(self_conditioning=True), _draws(0.5)),
    "categorical, 4 principal, likelihood": Row(CategoricalSettings(likelihood=True), _draws(0.5)),
    "multinomial": Row(MultinomialSettings(), (Way(scheduler="multinomial", temperature=1.0),)),
    "masked": Row(MaskedSettings(), tuple(Way(scheduler="unmask-halton", temperature=each) for each in (0.5, 1.0))),
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
    net: Literal["unet", "dit"] = "unet",
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
        net: of all rows.
        width: of the network.
        layers: of the network.
        name: of the results.
    """
    network = NetSettings.kinds()[net](width=width, layers=layers)
    study = Study(photos, out, features, size=size, codec=codec, count=count)
    study.floors()
    for row in rows:
        for seed in seeds:
            model = GeneratorSettings(process=ROWS[row].process, net=network)
            training = TrainSettings(images=images, checkpoint_every=images, seed=seed)
            run = study.train(row, model, training, study.unsorted_latents if ROWS[row].shuffled else study.latents)
            for way in ROWS[row].ways:
                study.measure(run, replace(way, steps=steps))
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
            way = Way(scheduler=found["scheduler"], temperature=found["temperature"], steps=found["steps"])
            seed, count = str(made["training"]["seed"]), path.stem.split("-")[-1]
            table.append([f"{made['row']}, {made['model']['net']}", str(way), seed, count, *cells(found)])
    headers = ["process and coordinates", "sampler, temperature, calls", "seed", "pictures", *study.headers]
    finish(name, headers, table, **asked)


if __name__ == "__main__":
    tyro.cli(ablation)
