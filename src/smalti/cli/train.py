"""`smalti train`: latents to a generator."""

from pathlib import Path
from typing import Annotated

import tyro

import smalti.recipes as recipes
from smalti.cli.options import BeginWith, ModelOptions
from smalti.devices import join_processes
from smalti.model_folder import ModelFolder
from smalti.training import GeneratorSettings, TrackerName, TrainSettings


def train(
    latents: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path,
    model: ModelOptions = ModelOptions(),
    training: TrainSettings = TrainSettings(),
    begin_with: BeginWith = None,
    resume: bool = False,
    device: str | None = None,
    processes: int | None = None,
    resident: bool = False,
    log_with: TrackerName | None = None,
) -> Path | None:
    """Train a generator on latents.

    Example: smalti train latents --out run --images 1000000

    Start here: --images is how long it is trained, --width how large the network is, and --resume goes on after an
    interruption. The others are for experiments: their defaults are those that measured best.

    Args:
        latents: a folder that `smalti encode` wrote.
        out: new folder for the model; sample grids and metrics.jsonl show how it comes along.
        model: the process and the network.
        training: how to train.
        begin_with: a model folder, or owner/name on the Hub, to go on from: its averaged weights, and its classes, to
            which new ones are added. Codec, process and network have to be the same.
        resume: go on from the last checkpoint in `out`; what is left out is as it was. More --images than a
            run was begun for extend it: where its learning rate was falling that rises again, and falls at the new end.
        device: cpu or cuda; the accelerator, if there is one, when left out.
        processes: of a CPU, which share its cores; as many as is fastest here when left out.
        resident: keep all latents in the memory of the device, rather than read them from disk as they are asked for.
        log_with: a tracker that gets losses and sample grids as well, by a package of that name, to be installed
            before; tensorboard keeps them in logs/ of `out`.
    """
    state = join_processes(device)
    where = {"device": device, "processes": processes, "resident": resident, "log_with": log_with}
    settings = GeneratorSettings(process=model.process, net=model.net)
    recipes.train(latents, out, settings, training, begin_with=begin_with, resume=resume, **where)
    state.print(f"{out}: trained on {training.images} images; sample grids in {out / 'progress'}")
    state.print(f"next: smalti sample {out} --count 64 --out samples")
    return ModelFolder(out).generator.record if state.is_main_process else None
