"""What comes of few photos: the loss on photos held out, copies, and pictures, with the guard and without.

    python benchmarks/few_photos.py PHOTOS --features NETWORK.pt --out FOLDER [--counts 500 4000 --picture few.png]

Of PHOTOS so many are drawn at random, and `smalti create` is run on them: until the guard ends it, and then on to the
end without. What is measured is what its report says: the loss on the photos held out at each checkpoint, and the share
of 64 samples that are nearer to a training photo than the median photo held out is; and both distances of samples to
those of PHOTOS that were never drawn. What is done is kept in FOLDER.
"""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor

from _study import cells, distances
from _table import RESULTS, finish
from smalti import (
    CreateSettings,
    FeatureNetwork,
    Images,
    ModelFolder,
    SampleSettings,
    SmaltiPipeline,
    create,
    open_images,
)
from smalti.devices import find_device
from smalti.files import new_folder, read_json, write_json
from smalti.recipes import samples
from smalti.records import to_record
from smalti.report import sample_sheet
from smalti.training import HeldOutLoss

_SHOWN = 16
_COLUMNS = (
    "images_trained",
    "passes",
    "weights_of",
    "held_out_loss",
    "distance_of_samples",
    "distance_of_held_out",
    "nearer_than_held_out",
)


def ordered(photos: Path) -> list[Path]:
    """All photos in an order of chance, the same each time."""
    found = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [found[number] for number in np.random.default_rng(0).permutation(len(found))]


def drawn(photos: list[Path], folder: Path) -> Path:
    """A folder with these photos, all without a class."""
    if not folder.is_dir():
        with new_folder(folder) as whole:
            for number, photo in enumerate(photos):
                shutil.copy(photo, whole / f"{number:05}{photo.suffix}")
    return folder


class Judge:
    """Both distances of pictures to photos that no training saw."""

    def __init__(self, others: Images, features: Path, count: int):
        self.network = FeatureNetwork(features, find_device())
        self.headers = [self.network.frechet_name, f"{self.network.kernel_name} x 1000"]
        self.count = count
        self._reference = self.network(others, total=len(others), desc="reference")

    def cells(self, pictures: Iterable[Tensor], name: str) -> list[str]:
        """Each with half of its 95 % interval."""
        return cells(distances(self.network(pictures, total=self.count, desc=name), self._reference))

    def of_model(self, pipe: SmaltiPipeline, steps: int) -> list[str]:
        """Those of samples."""
        batches = pipe.stream(self.count, SampleSettings(steps=steps, batch_size=100))
        return self.cells((picture for batch in batches for picture in batch), "samples")


def measured(model: ModelFolder, seconds: float) -> dict[str, Any]:
    """What the report of a `create` says."""
    figures = read_json(model.figures)
    near = figures["nearest_training"]
    kept = read_json(model.generator.record)
    loss = HeldOutLoss.read(model.generator.metrics)
    at = kept["weights_of"]
    return {
        "photos": figures["photos"],
        "images_trained": figures["images_trained"],
        "passes": round(figures["passes"], 1),
        "weights_of": at,
        "held_out_loss": loss.loss[loss.images.index(at)] if at in loss.images else None,
        "distance_of_samples": near["generated"],
        "distance_of_held_out": near["held_out"],
        "nearer_than_held_out": near["nearer"],
        "seconds": round(seconds, 1),
    }


def run(
    photos: list[Path], settings: CreateSettings, folder: Path, judge: Judge, steps: int
) -> list[tuple[str, dict[str, Any], Tensor]]:
    """`create` with the guard, then without to the end: what each is called, its figures, and some samples."""
    found = []
    for way, guard in (("guarded", True), ("to the end", False)):
        kept = folder / f"{len(photos)}-{way.replace(' ', '-')}"
        if not kept.is_dir():
            model, began = ModelFolder(folder / f"{len(photos)}"), perf_counter()
            source = drawn(photos, folder / f"photos-{len(photos)}")
            create(source, model.path, replace(settings, guard=guard), resume=model.plan.exists())
            figures = measured(model, perf_counter() - began)
            pipe = SmaltiPipeline.from_pretrained(model.path).to(find_device())
            pipe.set_progress_bar_config(disable=True)
            figures["distances"] = judge.of_model(pipe, steps)
            with new_folder(kept) as whole:
                write_json(whole / "figures.json", figures)
                np.save(whole / "samples.npy", np.stack(samples(pipe, _SHOWN)))
                shutil.copy(model.generator.metrics, whole)
        shown = torch.from_numpy(np.load(kept / "samples.npy"))
        found.append((way, read_json(kept / "figures.json"), shown))
        if found[0][1]["held_out_loss"] is None:
            break  # there is no guard
    return found


def main(
    photos: tyro.conf.Positional[Path],
    *,
    features: Path,
    out: Path,
    counts: tuple[int, ...] = (500, 4_000),
    images: int = 40_000,
    checkpoints: int = 40,
    size: int = 32,
    count: int = 1_000,
    steps: int = 25,
    results: Path = RESULTS,
    picture: Path | None = None,
) -> None:
    """Train and measure; write `few_photos.json`, and a picture of samples.

    Args:
        photos: a folder of them, with more than the most of `counts`.
        features: the feature network.
        out: folder for models and what was measured.
        counts: how many photos are drawn.
        images: of training, counted with repetition.
        checkpoints: of a training; at each the loss on photos held out is measured.
        size: of the pictures.
        count: samples to measure.
        steps: network calls a sample.
        results: folder of the table.
        picture: a row of samples each training.
    """
    settings = CreateSettings(
        size=size, images=images, refine=False, processes=1, checkpoint_every=max(1, images // checkpoints)
    )
    files = ordered(photos)
    others = open_images(drawn(files[max(counts) :], out / f"others-{max(counts)}"), size=size)
    judge = Judge(others, features, count)
    drawn_ones = open_images(drawn(files[: max(counts)], out / f"photos-{max(counts)}"), size=size)
    floor = judge.cells(drawn_ones.sample(count), "photos")
    rows: list[list[Any]] = [["", "*photos themselves*", *[""] * len(_COLUMNS), *floor]]
    shown, curves = [], {}
    for number in counts:
        for way, figures, pictures in run(files[:number], settings, out, judge, steps):
            rows.append([number, way, *(figures[name] for name in _COLUMNS), *figures["distances"]])
            shown.append(pictures)
            loss = HeldOutLoss.read(out / f"{number}-{way.replace(' ', '-')}" / "metrics.jsonl")
            curves[f"{number} {way}"] = {"images": loss.images, "loss": loss.loss}
    if picture:
        sample_sheet(torch.cat(shown), _SHOWN).save(picture)
    headers = ["photos", "training", *(name.replace("_", " ") for name in _COLUMNS), *judge.headers]
    finish(
        "few_photos",
        headers,
        rows,
        folder=results,
        held_out=curves,
        settings=to_record(settings),
        count=count,
        steps=steps,
        others=len(others),
    )


if __name__ == "__main__":
    tyro.cli(main)
