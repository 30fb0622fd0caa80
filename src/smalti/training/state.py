"""Checkpoints: the whole state of a run as safetensors and JSON. Randomness is keyed, so there is no other state."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from smalti.files import SmaltiError, new_folder, read_json, write_json
from smalti.training.settings import TrainSettings

FORMAT_VERSION = 1

_KEPT = 2
# What may differ between a run and its continuation: how long it goes on, and what it writes on the way.
_MAY_CHANGE = {"images", "checkpoint_every", "log_every"}


def save_checkpoint(
    run: Path, image: int, model: nn.Module, ema: EMAModel, optimizer: torch.optim.Optimizer, settings: TrainSettings
) -> Path:
    """Write `checkpoints/<image>` whole or not at all, and remove all but the last two."""
    folder = run / "checkpoints" / f"{image:012d}"
    shutil.rmtree(folder, ignore_errors=True)  # a run that lost its later lines comes by here again
    with new_folder(folder) as aside:
        _save(dict(model.named_parameters()), aside / "model.safetensors")
        _save(_named(model, ema.shadow_params), aside / "ema.safetensors")
        _save(_optimizer_tensors(optimizer), aside / "optimizer.safetensors")
        state = {
            "format_version": FORMAT_VERSION,
            "image": image,
            "ema_steps": ema.optimization_step,
            "settings": asdict(settings),
        }
        write_json(aside / "state.json", state)
    for old in checkpoints(run)[:-_KEPT]:
        shutil.rmtree(old)
    return folder


def checkpoints(run: Path) -> list[Path]:
    """The checkpoint folders of a run, oldest first."""
    return sorted(path for path in (run / "checkpoints").glob("[0-9]*") if path.is_dir())


def load_checkpoint(
    run: Path, model: nn.Module, ema: EMAModel, optimizer: torch.optim.Optimizer, settings: TrainSettings
) -> int:
    """Put the newest checkpoint of `run` into model, EMA and optimizer; return the image to go on from.

    Raises:
        SmaltiError: there is none, it is damaged, or it was made with other settings.
    """
    found = checkpoints(run)
    if not found:
        raise SmaltiError(f"{run}: there is no checkpoint to resume from; start without --resume, in a new folder.")
    folder = found[-1]
    state = read_json(folder / "state.json")
    require_same_settings(state["settings"], asdict(settings), run)
    try:
        _fill(dict(model.named_parameters()), load_file(folder / "model.safetensors"))
        _fill(_named(model, ema.shadow_params), load_file(folder / "ema.safetensors"))
        _load_optimizer(optimizer, load_file(folder / "optimizer.safetensors"))
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise SmaltiError(
            f"{folder}: the checkpoint is damaged or of another network ({error}); "
            "remove it to go on from the one before."
        ) from error
    ema.optimization_step = state["ema_steps"]
    return state["image"]


def require_same_settings(then: dict[str, Any], now: dict[str, Any], run: Path) -> None:
    """Refuse to go on with a run in another way than it was begun in; how long it goes on may change.

    Raises:
        SmaltiError: a setting that differs.
    """
    changed = [
        f"{name.replace('_', ' ')} {then.get(name)}, now {now[name]}"
        for name in now
        if name not in _MAY_CHANGE and then.get(name) != now[name]
    ]
    if changed:
        raise SmaltiError(f"{run}: was begun with other settings ({'; '.join(changed)}); resume with the same.")


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


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{parameter}.{name}": value
        for parameter, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        parameter, name = key.split(".")
        state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
