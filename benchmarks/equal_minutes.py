"""What the same minutes of training bring: Smalti, the paper's way, or diffusion on pixels or on learned latents.

    python benchmarks/equal_minutes.py PHOTOS --features NETWORK.pt --out FOLDER [--ways NAME ...] [--minutes 2 4 8 16]

Every way has the same photos (and mirrored), training loop, minutes and, as near as widths allow, parameters. Minutes
are those of one processor core, whatever else the machine does: speeds are measured first, and each way is given the
images that fit, since the learning rate falls towards the end. Fitting our codec, encoding and training our refiner
count; what a learned autoencoder's own training took does not. Each number of minutes is a run of its own. Where a way
has several samplers, the plot shows the better. What is done is kept in FOLDER, and table and plot are of all that is
there. Two processes may share FOLDER with other --ways: let one measure the speeds of all ways before, with `--minutes`
and no number behind it.

The U-Net of denoising-diffusion-pytorch is left out where that package is not. It imports torchvision, which must be of
the same build as torch, so it wants an environment of its own:

    python -m venv peer
    peer/bin/pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
    peer/bin/pip install . denoising-diffusion-pytorch
    peer/bin/python benchmarks/equal_minutes.py ...
"""

from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from _study import HELD_OUT, cells
from _table import finish
from _ways import Cost, Ours, Peer, Photos, Row
from smalti import TrainSettings
from smalti.files import read_json, write_json
from smalti.report import drawn

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
REFINING = 0.15  # share of the minutes that the refiner is trained for, as `smalti create` plans it
TURNS = 3  # in which speeds are measured: the median depends less on what else goes on


ROWS: dict[str, Row] = {
    "Smalti": Ours(row="default"),
    "Smalti, refined": Ours(row="default", refined=True),
    "paper": Ours(row="categorical, 4 principal"),
    "pixels in patches, v": Peer(space="patches", net="unet"),
    "pixels in patches, x": Peer(space="patches", net="unet", prediction="x"),
    "pixels": Peer(space="plain", net="full", samplers=("ddim",)),
    "pixels, denoising-diffusion-pytorch": Peer(space="plain", net="peer", samplers=("ddim",)),
    "learned latents": Peer(space="learned", net="unet"),
}


def equal_minutes(
    photos: str,
    /,
    *,
    features: Path,
    out: Path,
    ways: tuple[str, ...] = tuple(ROWS),
    minutes: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0),
    seeds: tuple[int, ...] = (0,),
    size: int = 32,
    codec: str = "OPQ-32-8-8/4",
    count: int = 2_000,
    held_out: int = HELD_OUT,
    steps: int = 50,
    autoencoder: Path | None = None,
    learning_rate: float | None = None,
    name: str | None = None,
) -> None:
    """Train and measure ways; write `results/NAME.json` and `docs/pictures/NAME.png`.

    Args:
        photos: to learn from; some are held out as the reference.
        features: the feature network.
        out: folder for codec, latents, models and what was measured.
        ways: which, by their names; all when left out.
        minutes: of training; each way is trained for each.
        seeds: of training; each way is trained with each.
        size: of the pictures.
        codec: ours, whose patches are also those of pixels in patches.
        count: pictures to measure.
        held_out: photos of the reference.
        steps: network calls a picture.
        autoencoder: the folder of an AutoencoderTiny of diffusers.
        learning_rate: of all ways (AdamW has half of it) instead of that of each, to tune it, in a FOLDER of its own.
        name: of the results; equal_minutes_SIZE when left out.
    """
    torch.set_num_threads(1)
    study = Photos(photos, out, features, size=size, codec=codec, count=count, held_out=held_out)
    study.autoencoder = autoencoder
    study.floors()
    rows = {way: replace(ROWS[way], learning_rate=learning_rate or ROWS[way].learning_rate) for way in ways}
    for way in ways:
        if missing := rows[way].missing(study):
            print(f"'{way}' is left out: {missing}.")
            del rows[way]
    costs = measured_costs(study, rows)
    for time in minutes:
        for way, row in rows.items():
            for seed in seeds:
                run(study, way, row, costs[way], time, seed, steps)
    show(study, name or f"equal_minutes_{size}", steps=steps, codec=codec, size=size)


def measured_costs(study: Photos, rows: dict[str, Row]) -> dict[str, Cost]:
    """The costs of ways, measured in turns and kept: ways that are to be compared had better be measured together."""
    folder = study.out / "costs"
    folder.mkdir(exist_ok=True)
    new = [way for way in rows if not (folder / f"{way}.json").is_file()]
    turns = [{way: asdict(rows[way].cost(study)) for way in new} for _ in range(TURNS)]
    for way in new:
        write_json(folder / f"{way}.json", {name: median(turn[way][name] for turn in turns) for name in turns[0][way]})
    costs = {way: Cost(**read_json(folder / f"{way}.json")) for way in rows}
    for way, cost in costs.items():
        batch = TrainSettings().batch_size
        print(f"{way}: {batch / cost.images:.3f} s a step of {batch} images, {cost.before:.1f} s before training")
    return costs


def run(study: Photos, way: str, row: Row, cost: Cost, minutes: float, seed: int, steps: int) -> None:
    """Make the points of a way that was trained for some minutes; what is done is not done again."""
    pairs = int(60 * minutes * REFINING * cost.pairs)
    left = 60 * minutes - cost.before - (pairs / cost.pairs if pairs else 0.0)
    training = row.training(int(left * cost.images), seed)
    folder = study.out / "points"
    folder.mkdir(exist_ok=True)
    for number, point in enumerate(row.points(study, f"{way}, {minutes:g} minutes", training, pairs, steps)):
        point |= {"way": way, "minutes": minutes, "seed": seed, "images": training.images}
        spent = (point.pop("seconds") + cost.before) / 60
        write_json(folder / f"{way}-{minutes:g}-{seed}-{number}.json", point | {"spent": spent})


def show(study: Photos, name: str, **asked: Any) -> None:
    """The table and the plot of all points that are there."""
    points = [read_json(path) for path in sorted((study.out / "points").glob("*.json"))]
    points.sort(key=lambda point: (list(ROWS).index(point["way"]), point["minutes"], point["seed"]))
    table = [[floor, "", "", "", "", "", *cells(found)] for floor, found in study.floors().items()]
    for each in points:
        numbers = [f"{each['minutes']:g}", f"{each['spent']:.2f}", str(each["seed"]), str(each["images"])]
        table.append([each["way"], *numbers, f"{each['parameters'] / 1e6:.2f} M, {each['sampler']}", *cells(each)])
    headers = ["way", "minutes", "measured", "seed", "images", "network, sampler", *study.headers]
    finish(name, headers, table, **asked, count=study.count, floors=study.floors(), points=points)
    if points:
        plot(points, study, PICTURES / f"{name}.png")


def plot(points: list[dict[str, Any]], study: Photos, path: Path) -> None:
    """Both distances against the minutes: a line a way, through the means over seeds of its better sampler."""
    figure = Figure(figsize=(13, 5), dpi=110, layout="constrained")
    times = sorted({point["minutes"] for point in points})
    for axis, measure, title in zip(figure.subplots(1, 2), ("frechet", "kernel"), study.headers, strict=True):
        for way in dict.fromkeys(point["way"] for point in points):
            line = [(time, *best(points, way, time, measure)) for time in times if best(points, way, time, measure)]
            x, y, error = zip(*line, strict=True)
            ours = isinstance(ROWS[way], Ours)
            axis.errorbar(x, y, error, fmt="o-" if ours else "s--", markersize=4, capsize=2, label=way)
        for (floor, found), dots in zip(study.floors().items(), ((0, (1, 1)), (0, (4, 2))), strict=True):
            if found[measure]["value"] > found[measure]["plus_minus"]:  # nothing has no place on a logarithmic axis
                axis.axhline(found[measure]["value"], color="grey", linewidth=1, linestyle=dots, label=floor)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xticks(times, [f"{time:g}" for time in times])
        axis.set_xticks([], minor=True)
        axis.set_xlabel("minutes of training on one core")
        axis.set_title(title)
        axis.grid(which="both", alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    drawn(figure).save(path)
    print(f"\n{path}: the plot")


def best(points: list[dict[str, Any]], way: str, minutes: float, measure: str) -> list[float]:
    """The least mean over seeds, among samplers, and half of a run's 95 % interval; nothing where there are no runs."""
    samplers: dict[str, list[dict[str, float]]] = {}
    for point in points:
        if (point["way"], point["minutes"]) == (way, minutes):
            samplers.setdefault(point["sampler"], []).append(point[measure])
    means = [[mean(run[key] for run in runs) for key in ("value", "plus_minus")] for runs in samplers.values()]
    return min(means, default=[])


if __name__ == "__main__":
    tyro.cli(equal_minutes)
