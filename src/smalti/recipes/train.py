"""`train`: latents to a generator."""

from pathlib import Path

from smalti.data import Latents
from smalti.devices import join_processes
from smalti.files import refuse_occupied
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.samples import save_sample_grid
from smalti.training import GeneratorSettings, TrainSettings, train_generator


def train(
    latents: Path,
    out: Path,
    model: GeneratorSettings = GeneratorSettings(),
    training: TrainSettings = TrainSettings(),
    *,
    resume: bool = False,
    device: str | None = None,
    processes: int | None = None,
    resident: bool = False,
) -> SmaltiPipeline:
    """Train a generator in a model folder, with sample grids of how it comes along.

    Without `processes`, in as many as is fastest here, or as many as a run that is resumed was begun with. With
    `resident` the device holds all latents from the start.

    Raises:
        SmaltiError: the latents cannot be had; `out` is taken, or with `resume` was never begun, or otherwise.
    """
    state = join_processes(device)
    if resume:
        run = ModelFolder(out).generator
        run.require_begun()
        run.require_nothing_to_lose()
        if not run.checkpoints:
            state.print(f"{out}: had come to no checkpoint; begins again")
    elif state.is_main_process:
        refuse_occupied(out)
    where = {"device": device, "processes": processes, "resident": resident}
    on_model = save_sample_grid(out)
    return train_generator(Latents(latents), out, model, training, resume=resume, on_model=on_model, **where)
