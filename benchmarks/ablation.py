"""Which way of modelling the codes is best: processes, coordinates and samplers against each other.

    python benchmarks/ablation.py PHOTOS --features NETWORK.pt --out FOLDER [--rows NAME ...] [--seeds 0 1]

Every row has the same photos, codec, network size, number of training images and sampled pictures. A row that is done
is kept in FOLDER and not made again, so the script can be stopped, and given more rows, at any time; the table is of
all that are there. Two rows at once take two processes with the same FOLDER and other --rows.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro

from _study import Study, Way, cells
from _table import finish
from smalti import (
    CategoricalSettings,
    ContinuousSettings,
    DiTSettings,
    GeneratorSettings,
    MaskedSettings,
    MultinomialSettings,
    NetSettings,
    ProcessSettings,
    RefinerSettings,
    TrainSettings,
    UNetSettings,
)
from smalti.files import read_json


def _draws(*temperatures: float) -> tuple[Way, ...]:
    """As the paper draws: at one temperature, in even steps."""
    plain = Way(scheduler="ddpm", cooling=0.0, extrapolation=0.0, spacing=1.0)
    return tuple(replace(plain, temperature=each) for each in temperatures)


DDIM = (Way(scheduler="ddim"),)
EXPECTATION = Way(scheduler="ddim", temperature=1.0, cooling=0.0, draws=False)


@dataclass(frozen=True)
class Row:
    """A training, and the ways it is sampled; how many steps each takes is said on the command line.

    Where nothing else is said rows have a U-Net on whole patches, trained by AdamW, as the paper's probably were.
    """

    process: ProcessSettings
    ways: tuple[Way, ...] = DDIM
    shuffled: bool = False
    optimizer: Literal["adamw", "muon"] = "adamw"
    net: NetSettings = UNetSettings(unfold=1, conditioning="add")

    def training(self, settings: TrainSettings) -> TrainSettings:
        """Settings for this row: AdamW does best with half of Muon's learning rate."""
        share = 0.5 if self.optimizer == "adamw" else 1.0
        return replace(settings, optimizer=self.optimizer, learning_rate=share * settings.learning_rate)


_free = partial(CategoricalSettings, codeword_features=0)  # a row of weights for each codeword
_DEFAULT = Way(scheduler="ddpm")
_UNMASKED = tuple(Way(scheduler="unmask-halton", temperature=each) for each in (0.5, 1.0))

ROWS = {
    "continuous, rank, unsorted": Row(ContinuousSettings(coordinates="rank", k=1), shuffled=True),
    "continuous, rank": Row(ContinuousSettings(coordinates="rank", k=1)),
    "continuous, rank, dither": Row(ContinuousSettings(coordinates="rank", k=1, dither=True)),
    "continuous, 1 principal": Row(ContinuousSettings(k=1)),
    "continuous, 4 principal": Row(ContinuousSettings()),
    "continuous, 4 principal, self-conditioning": Row(ContinuousSettings(self_conditioning=True)),
    "categorical, rank": Row(_free(coordinates="rank", k=1), (*_draws(0.0, 0.5, 1.0, 2.2), EXPECTATION)),
    "categorical, 4 principal": Row(_free(), (*_draws(0.5, 0.8, 1.0), EXPECTATION)),
    "categorical, 4 principal, image term": Row(_free(image_weight=10.0), _draws(0.5)),
    "categorical, 4 principal, noise term": Row(_free(noise_weight=1.0), _draws(0.5)),
    "categorical, 4 principal, self-conditioning": Row(_free(self_conditioning=True), _draws(0.5)),
    "categorical, 4 principal, likelihood": Row(_free(likelihood=True), _draws(0.5)),
    "categorical, 4 principal, Muon": Row(_free(), _draws(0.5), optimizer="muon"),
    "categorical, 4 principal, codeword head": Row(CategoricalSettings(), _draws(0.5)),
    "categorical, 4 principal, unfolded": Row(_free(), _draws(0.5), net=UNetSettings(conditioning="add")),
    "categorical, 4 principal, scaled by time": Row(_free(), _draws(0.5), net=UNetSettings(unfold=1)),
    "unfolded, codeword head": Row(CategoricalSettings(), _draws(0.5), net=UNetSettings(conditioning="add")),
    "unfolded, codeword head, Muon": Row(
        CategoricalSettings(), _draws(0.5), optimizer="muon", net=UNetSettings(conditioning="add")
    ),
    "default": Row(
        CategoricalSettings(), (_DEFAULT, replace(_DEFAULT, extrapolation=0.0)), optimizer="muon", net=UNetSettings()
    ),
    "default, whole patches": Row(CategoricalSettings(), (_DEFAULT,), optimizer="muon", net=UNetSettings(unfold=1)),
    "default, time added": Row(
        CategoricalSettings(), (_DEFAULT,), optimizer="muon", net=UNetSettings(conditioning="add")
    ),
    "default, DiT": Row(CategoricalSettings(), (_DEFAULT,), optimizer="muon", net=DiTSettings(width=192, layers=6)),
    "multinomial": Row(MultinomialSettings(codeword_features=0), (Way(scheduler="multinomial", temperature=1.0),)),
    "masked": Row(MaskedSettings(codeword_features=0), _UNMASKED),
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
    refined: bool = False,
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
        refined: measure the first way of each row with a refiner as well.
        name: of the results.
    """
    study = Study(photos, out, features, size=size, codec=codec, count=count)
    study.floors()
    for row in rows:
        for seed in seeds:
            model = GeneratorSettings(process=ROWS[row].process, net=ROWS[row].net)
            training = ROWS[row].training(TrainSettings(images=images, checkpoint_every=images, seed=seed))
            run = study.train(row, model, training, study.unsorted_latents if ROWS[row].shuffled else study.latents)
            for way in ROWS[row].ways:
                study.measure(run, replace(way, steps=steps))
            if refined:
                study.measure(run, replace(ROWS[row].ways[0], steps=steps, refiner=RefinerSettings()))
    show(study, name, images=images, count=count, steps=steps, codec=codec, size=size)


def show(study: Study, name: str, **asked: Any) -> None:
    """The table of all rows that are done."""
    table = [[floor, "", "", "", str(study.count), *cells(found)] for floor, found in study.floors().items()]
    for done in sorted(
        study.out.glob("*/done.json"), key=lambda path: (list(ROWS).index(read_json(path)["row"]), path)
    ):
        made = read_json(done)
        for path in sorted(done.parent.glob("*-*-*-*.json"), key=lambda path: [len(path.stem), path.stem]):
            found = read_json(path)
            said = ("scheduler", "temperature", "draws", "cooling", "extrapolation", "spacing", "steps")
            refiner = RefinerSettings(**found["refiner"]) if found.get("refiner") else None
            settings: dict[str, Any] = {name: found.get(name) for name in said}
            way = Way(**settings, refiner=refiner)
            numbers = [str(number) for number in (made["training"]["seed"], made["training"]["images"], study.count)]
            table.append([f"{made['row']}, {made['model']['net']}", str(way), *numbers, *cells(found)])
    headers = ["process and coordinates", "sampler, temperature, calls", "seed", "images", "pictures", *study.headers]
    finish(name, headers, table, **asked)


if __name__ == "__main__":
    tyro.cli(ablation)
