"""Checkpoints: the whole state of a run as safetensors and JSON. Randomness is keyed, so there is no other state."""

import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from smalti.errors import SmaltiError
from smalti.files import new_folder, read_json, write_json
from smalti.model_folder import Run
from smalti.records import differences
from smalti.training.optimizer import Optimizer

FORMAT_VERSION = 4

_KEPT = 2
# What may differ between a run and its continuation: how long it goes on, and what it writes on the way.
_MAY_CHANGE = {"images", "checkpoint_every", "log_every"}


def save_checkpoint(
    run: Run,
    image: int,
    model: nn.Module,
    ema: EMAModel,
    optimizer: Optimizer,
    begun: dict[str, Any],
    processes: int,
) -> None:
    """Write a checkpoint whole or not at all, and remove all but the last two.

    `begun` is what was asked for when the run began: it goes on in no other way. In another number of `processes` it
    may, to the same but for the order of sums.
    """
    folder = run.checkpoint(image)
    shutil.rmtree(folder, ignore_errors=True)  # a run that lost its later lines comes by here again
    with new_folder(folder) as aside:
        _save(dict(model.named_parameters()), aside / "model.safetensors")
        _save(_named(model, ema.shadow_params), aside / "ema.safetensors")
        _save(optimizer.tensors(), aside / "optimizer.safetensors")
        state = {
            "format_version": FORMAT_VERSION,
            "image": image,
            "ema_steps": ema.optimization_step,
            "begun": begun,
            "processes": processes,
        }
        write_json(aside / "state.json", state)
    for old in run.checkpoints[:-_KEPT]:
        shutil.rmtree(old)


def begun_processes(run: Run) -> int | None:
    """In how many processes the newest checkpoint of a run was made, where there is one that says so."""
    return read_json(run.checkpoints[-1] / "state.json").get("processes") if run.checkpoints else None


def load_checkpoint(run: Run, model: nn.Module, ema: EMAModel, optimizer: Optimizer, begun: dict[str, Any]) -> int:
    """Put the newest checkpoint into model, EMA and optimizer; return the image to go on from, 0 where there is none.

    Raises:
        SmaltiError: it is damaged, of another version, or of a run that was begun otherwise.
    """
    if not run.checkpoints:
        return 0
    folder = run.checkpoints[-1]
    state = read_json(folder / "state.json")
    if state.get("format_version") != FORMAT_VERSION:
        raise SmaltiError(
            f"{folder}: the checkpoint is of another version of smalti, which alone can go on with it; the model loads "
            "with this one, or train again in a new folder."
        )
    changed = differences(state["begun"], begun, _MAY_CHANGE)
    if changed:
        raise SmaltiError(f"{run.folder}: was begun otherwise ({'; '.join(changed)}); resume with the same.")
    try:
        _fill(dict(model.named_parameters()), load_file(folder / "model.safetensors"))
        _fill(_named(model, ema.shadow_params), load_file(folder / "ema.safetensors"))
        optimizer.load(load_file(folder / "optimizer.safetensors"))
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        more = "remove it to go on from the one before" if len(run.checkpoints) > 1 else "train again in a new folder"
        raise SmaltiError(f"{folder}: the checkpoint is damaged or of another network ({error}); {more}.") from error
    ema.optimization_step = state["ema_steps"]
    return state["image"]


def _named(model: nn.Module, tensors: list[Tensor]) -> dict[str, Tensor]:
    return dict(zip((name for name, _ in model.named_parameters()), tensors, strict=True))


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)


@torch.no_grad()
def _fill(targets: dict[str, Tensor], sources: dict[str, Tensor]) -> None:
    if targets.keys() != sources.keys():
        raise KeyError("its tensors have other names")
    for name, target in targets.items():
        target.copy_(sources[name])
