"""`smalti refine`: a refiner for a model."""

from pathlib import Path

import smalti.recipes as recipes
from smalti.cli.options import Photos
from smalti.devices import join_processes
from smalti.model_folder import ModelFolder
from smalti.recipes import told_of_skipped
from smalti.training import RefinerSettings, TrackerName


def refine(
    photos: Photos,
    /,
    *,
    model: Path,
    settings: RefinerSettings = RefinerSettings(),
    features: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str | None = None,
    processes: int | None = None,
    log_with: TrackerName | None = None,
) -> Path | None:
    """Train the refiner of a model, which finishes its pictures, and put it into the model's folder.

    Example: smalti refine PHOTOS --model model

    Start here: --pairs is how long it is trained; the rest has defaults that serve.

    Args:
        photos: what the model was trained on, or more of its kind.
        model: a model folder; a refiner that it has is replaced.
        settings: the network, and how it is trained.
        features: a TorchScript network, called as net(pixels (B, 3, H, W), return_features=True) and differentiable,
            whose features are compared beside the pixels. Not the network that the model is to be measured with.
            TorchScript is a program: take it from where you would take one. Or a folder of transformers.
        seed: of everything drawn at random.
        resume: go on from the last checkpoint; what is left out is as it was. More --pairs extend the run.
        device: cpu or cuda; the accelerator, if there is one, when left out.
        processes: of a CPU, which share its cores; as many as is fastest here when left out.
        log_with: a tracker that gets the losses as well, by a package of that name, to be installed before;
            tensorboard keeps them in refining/logs/ of `model`.
    """
    state = join_processes(device)
    where = {"device": device, "processes": processes, "log_with": log_with}
    images = recipes.refine(photos, model, settings, features=features, seed=seed, resume=resume, **where)
    if images.skipped:
        state.print(told_of_skipped(images.skipped, len(images)))
    state.print(f"{model / 'refiner'}: finishes the pictures of {model} from now on; --no-refine leaves it out")
    state.print(f"next: smalti sample {model} --count 64 --out refined")
    return ModelFolder(model).refining.record if state.is_main_process else None
