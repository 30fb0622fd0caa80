"""`smalti create`: photos to a generator, the whole way."""

from pathlib import Path

import smalti.recipes as recipes
from smalti.cli.options import BeginWith, Photos
from smalti.model_folder import ModelFolder
from smalti.recipes import CreateSettings
from smalti.training import TrackerName


def create(
    photos: Photos,
    /,
    *,
    out: Path,
    settings: CreateSettings = CreateSettings(),
    begin_with: BeginWith = None,
    resume: bool = False,
    device: str | None = None,
    log_with: TrackerName | None = None,
) -> Path:
    """Make a generator of your own photos: fit a codec, encode, train, sample, report.

    Example: smalti create PHOTOS --out model --size 64 --minutes 20

    Start here: --size and --minutes; all else follows from them, the photos and this machine.

    Args:
        photos: a folder, zip, tar shards, glob or dataset of photos; names of sub-folders become labels.
        out: new folder for the model, its samples and its report.
        settings: size, time, codec.
        begin_with: a model folder, or owner/name on the Hub, to go on from: its codec, network and weights are taken,
            and its classes, to which those of the photos are added that are new.
        resume: go on where an interrupted `create` was, or extend one that is done by more --minutes or --images than
            it was begun for; what is left out is as it was.
        device: cpu or cuda; the accelerator, if there is one, when left out.
        log_with: a tracker that gets losses and sample grids as well, by a package of that name, to be installed
            before; tensorboard keeps them in logs/ of `out`, and those of the refiner in refining/logs/.
    """
    recipes.create(photos, out, settings, begin_with=begin_with, resume=resume, device=device, log_with=log_with)
    return ModelFolder(out).figures
