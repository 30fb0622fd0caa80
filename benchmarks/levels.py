"""What networks have learned at each level of noise, and whether pictures are lost in modelling or in sampling.

    python benchmarks/levels.py FOLDER/ROW-NET-SEED ... --features NETWORK.pt [--begun-from 200 400 600 800]

The models are those of one FOLDER of `ablation.py`. Each is asked for the cross-entropy of photos held out, under noise
of every time, beside the least that can be had from each place alone. With `--begun-from` it is sampled from latents of
photos under the noise of those times, instead of from noise: of what is decided before such a time nothing is then the
model's. These photos are other than those held out, as those of the floors are. What is done is kept in FOLDER.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from matplotlib.figure import Figure

from _study import Study, Way, cells, codec_of
from _table import finish
from smalti import SmaltiError, SmaltiPipeline
from smalti.diffusion import TRAINING_TIMESTEPS, entropy
from smalti.report import drawn, level_curves
from smalti.training import LossByLevel, independent_by_level, loss_by_level

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
ALONE, OFTEN = "each place alone", "as often as they occur"
TIMES = [round(position * TRAINING_TIMESTEPS) for position in LossByLevel.positions]

Curve = list[float | None]


@dataclass(frozen=True)
class Measured:
    """The cross-entropy of a model by level, what can be had without one, and distances by time begun from."""

    loss: Curve
    references: dict[str, Curve]
    begun: dict[int, dict[str, Any]]


def measure(study: Study, run: Path, images: int, begun_from: tuple[int, ...], steps: int) -> Measured:
    """All of a model."""
    pipe = SmaltiPipeline.from_pretrained(run).to(study.device)
    process, codec = pipe.process, codec_of(run)
    if not process.is_cross_entropy:
        raise SmaltiError(f"{run}: the loss of this model is no cross-entropy; leave it out.")
    held, counts = study.held_latents(codec), study.counts(codec)
    bound = independent_by_level(process, counts)
    references: dict[str, Curve] = {} if bound is None else {ALONE: bound.loss}
    references[OFTEN] = [entropy(counts)] * len(TIMES)
    way = Way(scheduler=process.default_scheduler, steps=steps)
    begun = {time: study.measure(run, way, time) for time in begun_from}
    if begun:
        begun[TRAINING_TIMESTEPS] = study.measure(run, way)
    return Measured(loss_by_level(pipe, held, images).loss, references, begun)


def shared(found: dict[str, Measured]) -> dict[str, Curve]:
    """The references, once each: models of the same codec and coordinates have the same."""
    curves: dict[str, Curve] = {}
    for name, each in found.items():
        for reference, curve in each.references.items():
            if curve not in curves.values():
                curves[f"{reference}, {name}" if reference in curves else reference] = curve
    return curves


def distances(study: Study, found: dict[str, Measured]) -> Figure:
    """The first of the two distances by the time begun from, beside what photos score through the codec."""
    figure = Figure(figsize=(8, 3.5), dpi=110, layout="constrained")
    axis = figure.subplots()
    for name, each in found.items():
        axis.plot(list(each.begun), [of["frechet"]["value"] for of in each.begun.values()], "o-", label=name)
    through = study.floors()["the same, through the codec"]["frechet"]["value"]
    axis.axhline(through, linestyle="--", color="0.35", label="photos, through the codec")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.set_xlabel(f"time of the noise that photos are put under; at {TRAINING_TIMESTEPS} there is noise alone")
    axis.set_ylabel(study.headers[0])
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def levels(
    models: tuple[Path, ...],
    /,
    *,
    features: Path,
    begun_from: tuple[int, ...] = (),
    images: int = 10_000,
    steps: int = 50,
    name: str = "levels_by_time",
) -> None:
    """Measure models; write `results/NAME.json`, and draw `docs/pictures/levels.png` and `begun_from.png`.

    Args:
        models: model folders of one study.
        features: the feature network of that study.
        begun_from: times, of 1 to 1000, to begin sampling from; none when left out.
        images: held-out photos that the loss is measured on, counted with repetition.
        steps: network calls a picture that is begun from noise.
        name: of the results.
    """
    if len({run.resolve().parent for run in models}) != 1:
        raise SmaltiError("name one model or more, all of one folder of `ablation.py`.")
    study = Study.at(models[0].parent, features)
    found = {run.name: measure(study, run, images, begun_from, steps) for run in models}
    times = sorted(dict.fromkeys(time for each in found.values() for time in each.begun))
    columns = [f"{header}, begun from {time}" for time in times for header in study.headers]
    table = [[reference, *_told(curve), *("" for _ in columns)] for reference, curve in shared(found).items()]
    for run, each in found.items():
        table.append([run, *_told(each.loss), *(cell for time in times for cell in cells(each.begun[time]))])
    asked = {"images": images, "count": study.count, "steps": steps, "floors": study.floors()}
    finish(name, ["cross-entropy in nats, at time", *map(str, TIMES), *columns], table, **asked)

    curves = {run: each.loss for run, each in found.items()}
    level_curves(TIMES, curves, shared(found), "cross-entropy of held-out photos, nats").save(PICTURES / "levels.png")
    if times:
        drawn(distances(study, found)).save(PICTURES / "begun_from.png")


def _told(curve: Curve) -> list[str]:
    return ["" if loss is None else f"{loss:.3f}" for loss in curve]


if __name__ == "__main__":
    tyro.cli(levels, config=(tyro.conf.OmitArgPrefixes,))
