"""`train`: latents to a generator."""

from pathlib import Path

from smalti.data import open_latents
from smalti.devices import join_processes
from smalti.errors import SmaltiError
from smalti.model_folder import ModelFolder, Run
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.samples import save_sample_grid
from smalti.training import GeneratorSettings, Origin, TrackerName, TrainSettings, require_tracker, train_generator


def train(
    latents: Path,
    out: Path,
    model: GeneratorSettings = GeneratorSettings(),
    training: TrainSettings = TrainSettings(),
    *,
    begin_with: str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
    processes: int | None = None,
    resident: bool = False,
    log_with: TrackerName | None = None,
) -> SmaltiPipeline:
    """Train a generator in a model folder, with sample grids of how it comes along.

    With `begin_with` it goes on from the weights of another model of that kind, under the same codec. Without
    `processes`, in as many as is fastest here, or as many as a run that is resumed was begun with. With `resident` the
    device holds all latents from the start. The tracker `log_with` gets the losses and the sample grids.

    Raises:
        SmaltiError: the latents cannot be had; `out` is taken, or with `resume` was never begun, or otherwise; the
            model to begin with is of another kind; the tracker is not installed.
    """
    require_tracker(log_with)
    state = join_processes(device)
    folder = ModelFolder(out)
    origin = None if begin_with is None else Origin.find(begin_with)
    if resume:
        run = folder.generator
        if folder.plan.is_file():
            raise SmaltiError(f"{out}: was begun by `smalti create`; go on with `smalti create --out {out} --resume`.")
        run.require_begun()
        run.require_nothing_to_lose()
        if not run.checkpoints:
            state.print(f"{out}: had come to no checkpoint; begins again")
        state.print(told_of_resumed(run, training.images, "--images"))
    elif state.is_main_process:
        folder.refuse_begun()
    where = {"device": device, "processes": processes, "resident": resident, "log_with": log_with}
    on_model = save_sample_grid(out)
    options = {"origin": origin, "resume": resume, "on_model": on_model, **where}
    return train_generator(open_latents(latents), out, model, training, **options)


def told_of_resumed(run: Run, images: int, option: str) -> str:
    """Where a run goes on that is resumed, or that there is nothing to do, in a sentence."""
    if run.trained >= images:
        return f"{run.folder}: was trained on all {run.trained:,} images already; more of them go on ({option})"
    return f"{run.folder}: goes on from image {run.trained:,} to {images:,}"
