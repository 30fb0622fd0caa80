"""What comes of few photos: the loss on photos held out, copies, and pictures, with the guard and without.

    python benchmarks/few_photos.py PHOTOS --out FOLDER [--counts 500 4000 --images 20000 --picture few.png]

Of PHOTOS so many are drawn at random, and `smalti create` is run on them: until the guard ends it, and then on to the
end without. What is measured is what its report says: the loss on the photos held out at each checkpoint, and the share
of 64 samples that are nearer to a training photo than the median photo held out is. What is done is kept in FOLDER.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor

from _table import RESULTS, finish
from smalti import CreateSettings, ModelFolder, SmaltiPipeline, create
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


def drawn(photos: Path, count: int, folder: Path) -> Path:
    """A folder with some of the photos, all without a class, the same each time."""
    if not folder.is_dir():
        found = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        chosen = np.random.default_rng(0).permutation(len(found))[:count]
        with new_folder(folder) as whole:
            for number in sorted(chosen):
                shutil.copy(found[number], whole / f"{number:05}{found[number].suffix}")
    return folder


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
    photos: Path, count: int, settings: CreateSettings, folder: Path, device: str | None
) -> list[tuple[str, dict[str, Any], Tensor]]:
    """`create` with the guard, then without to the end: what each is called, its figures, and some samples."""
    found = []
    for way, guard in (("guarded", True), ("to the end", False)):
        kept = folder / f"{count}-{way.replace(' ', '-')}"
        if not kept.is_dir():
            model, began = ModelFolder(folder / f"{count}"), perf_counter()
            source = drawn(photos, count, folder / f"photos-{count}")
            create(source, model.path, replace(settings, guard=guard), resume=model.plan.exists(), device=device)
            with new_folder(kept) as whole:
                write_json(whole / "figures.json", measured(model, perf_counter() - began))
                np.save(whole / "samples.npy", np.stack(samples(SmaltiPipeline.from_pretrained(model.path), _SHOWN)))
                shutil.copy(model.generator.metrics, whole)
        shown = torch.from_numpy(np.load(kept / "samples.npy"))
        found.append((way, read_json(kept / "figures.json"), shown))
        if found[0][1]["held_out_loss"] is None:
            break  # there is no guard
    return found


def main(
    photos: tyro.conf.Positional[Path],
    *,
    out: Path,
    counts: tuple[int, ...] = (500, 4_000),
    images: int = 20_000,
    checkpoints: int = 20,
    size: int = 32,
    results: Path = RESULTS,
    picture: Path | None = None,
    device: str | None = None,
) -> None:
    settings = CreateSettings(
        size=size, images=images, refine=False, processes=1, checkpoint_every=max(1, images // checkpoints)
    )
    rows, shown, curves = [], [], {}
    for count in counts:
        for way, figures, pictures in run(photos, count, settings, out, device):
            rows.append([count, way, *(figures[name] for name in _COLUMNS)])
            shown.append(pictures)
            loss = HeldOutLoss.read(out / f"{count}-{way.replace(' ', '-')}" / "metrics.jsonl")
            curves[f"{count} {way}"] = {"images": loss.images, "loss": loss.loss}
    if picture:
        sample_sheet(torch.cat(shown), _SHOWN).save(picture)
    headers = ["photos", "training", *(name.replace("_", " ") for name in _COLUMNS)]
    finish("few_photos", headers, rows, folder=results, held_out=curves, settings=to_record(settings))


if __name__ == "__main__":
    tyro.cli(main)
