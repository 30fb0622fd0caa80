"""Table 2 of the paper: the continuous and the categorical process, with and without a refiner, and our default.

    python benchmarks/table2.py cats --photos CATS --features NETWORK.pt --out FOLDER
    python benchmarks/table2.py lsun-cat-256 --photos cat --features inception-2015-12-05.pt --out FOLDER

What is done is kept in FOLDER, so the script can be stopped at any time. The preset `cats` takes pictures of 192x192 on
a GPU, and of 32x32 with smaller patches on a CPU. `lsun-cat-256` and `lsun-church-256` read the LMDB that LSUN comes as
(pip install '.[lmdb]'); they are ready for who has that and a GPU for days, and HAVE NOT BEEN RUN by us. A model
has one refiner at a time: its folder is left with that of the last row.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from _study import Study, Way, cells
from _table import PAPER, finish
from ablation import ROWS as TRAININGS
from smalti import GeneratorSettings, RefinerSettings, TrainSettings, UNetSettings
from smalti.devices import find_device
from smalti.records import to_record


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How large everything is."""

    size: int
    codec: str
    net: UNetSettings
    training: TrainSettings
    refiner: RefinerSettings
    held_out: int
    count: int
    steps: int
    paper: dict[str, float]
    """FID of the rows that the paper has."""


def _training(images: int, width: int) -> TrainSettings:
    """As `create` plans it: the wider, the slower; averages over a twentieth of the run."""
    average = min(images // 20, 50_000)
    return TrainSettings(
        images=images, learning_rate=0.256 / width, ema_halflife=average, checkpoint_every=images // 10
    )


LSUN = Preset(
    size=256,
    codec="OPQ-32-8-8",
    net=UNetSettings(width=192, layers=2, unfold=1, conditioning="add"),
    training=_training(50_000_000, 192),
    refiner=RefinerSettings(pairs=200_000, pairs_a_step=16),
    held_out=50_000,
    count=50_000,
    steps=250,
    paper=PAPER["FID of table 2"]["lsun-cat-256"],
)
PRESETS = {
    "lsun-cat-256": LSUN,
    "lsun-church-256": replace(LSUN, paper=PAPER["FID of table 2"]["lsun-church-256"]),
    "cats-gpu": Preset(
        size=192,
        codec="OPQ-32-8-8",
        net=UNetSettings(width=128, layers=2, unfold=1, conditioning="add"),
        training=_training(4_000_000, 128),
        refiner=RefinerSettings(pairs=100_000, pairs_a_step=16),
        held_out=2_000,
        count=2_000,
        steps=50,
        paper={},
    ),
    "cats-cpu": Preset(
        size=32,
        codec="OPQ-32-8-8/4",
        net=UNetSettings(unfold=1, conditioning="add"),
        training=TrainSettings(checkpoint_every=100_000),
        refiner=RefinerSettings(pairs=20_000),
        held_out=2_000,
        count=2_000,
        steps=50,
        paper={},
    ),
}


@dataclass(frozen=True)
class Row:
    """A training of `ablation.py`, how it is sampled, and `RefinerSettings.latest` of its refiner, if it has one."""

    training: str
    way: Way
    latest: int | None = None


GUESSED = 300  # "of guesses": the refiner learns from what the generator takes photos for, up to this time
CONTINUOUS = Row("continuous, rank", Way(scheduler="ddim"))
OURS = Row("default", Way(scheduler="ddpm"))
ROWS = {
    "Continuous": CONTINUOUS,
    "Continuous + Refiner": replace(CONTINUOUS, latest=0),
    "Continuous + Refiner of guesses": replace(CONTINUOUS, latest=GUESSED),
    "Categorical (τ = 1.0)": Row(
        "categorical, rank", Way(scheduler="ddpm", temperature=1.0, cooling=0.0, extrapolation=0.0, spacing=1.0)
    ),
    "Categorical (τ = 2.2)": Row(
        "categorical, rank", Way(scheduler="ddpm", temperature=2.2, cooling=0.0, extrapolation=0.0, spacing=1.0)
    ),
    "Ours": OURS,
    "Ours + Refiner": replace(OURS, latest=0),
    "Ours + Refiner of guesses": replace(OURS, latest=GUESSED),
}


def table2(
    preset: Literal["cats", "lsun-cat-256", "lsun-church-256"], /, *, photos: str, features: Path, out: Path
) -> None:
    """Train and measure every row; write `results/table2_PRESET.json`.

    Args:
        preset: which photos, how large, how long.
        photos: where they are.
        features: the feature network; the figures are FID with that of FID alone.
        out: folder for everything that is made; one of `ablation.py` at the same size serves, its models with it.
    """
    chosen = f"cats-{'cpu' if find_device().type == 'cpu' else 'gpu'}" if preset == "cats" else preset
    plan = PRESETS[chosen]
    study = Study(photos, out, features, size=plan.size, codec=plan.codec, count=plan.count, held_out=plan.held_out)
    table = [[floor, "", *cells(found), ""] for floor, found in study.floors().items()]
    for name, row in ROWS.items():
        model = GeneratorSettings(process=TRAININGS[row.training].process, net=plan.net)
        run = study.train(row.training, model, TRAININGS[row.training].training(plan.training))
        refiner = None if row.latest is None else replace(plan.refiner, latest=row.latest)
        way = replace(row.way, steps=plan.steps, refiner=refiner)
        found = study.measure(run, way)
        table.append([name, str(way), *cells(found), str(plan.paper.get(name, ""))])
    headers = ["model", "sampler", *study.headers, "paper's FID"]
    finish(f"table2_{chosen.replace('-', '_')}", headers, table, preset=to_record(plan))


if __name__ == "__main__":
    tyro.cli(table2)
