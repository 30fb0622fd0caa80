"""Checkpoints: the whole state of a run as safetensors and JSON. Randomness is keyed, so there is no other state."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from smalti.digests import digests_of, require_digests
from smalti.errors import SmaltiError
from smalti.files import new_folder, read_json, write_record, written
from smalti.model_folder import Run
from smalti.records import differences
from smalti.training.optimizer import Optimizer

FORMAT_VERSION = 4

_KEPT = 2
_STATE = "state.json"
_TENSORS = ("model.safetensors", "ema.safetensors", "optimizer.safetensors")
# What may differ between a run and its continuation: how long it goes on, what it writes on the way, and what makes it
# fit into memory, which changes nothing but the order of sums.
_MAY_CHANGE = {"images", "pairs", "checkpoint_every", "log_every", "on_non_finite", "at_once", "recompute"}


def save_checkpoint(
    run: Run,
    image: int,
    model: nn.Module,
    ema: EMAModel,
    optimizer: Optimizer,
    begun: dict[str, Any],
    processes: int,
    halvings: int = 0,
    earlier: Sequence[int] = (),
) -> None:
    """Write a checkpoint whole or not at all, and remove all but the last two.

    `begun` is what was asked for when the run began: it goes on in no other way. In another number of `processes` it
    may, to the same but for the order of sums. `halvings` says how often the learning rate was halved, `earlier` at
    which images the parts before this one ended.
    """
    folder = run.checkpoint(image)
    shutil.rmtree(folder, ignore_errors=True)  # a run that lost its later lines comes by here again
    with new_folder(folder) as aside:
        tensors = dict(model.named_parameters()), _named(model, ema.shadow_params), optimizer.tensors()
        for name, each in zip(_TENSORS, tensors, strict=True):
            with written(folder):
                _save(each, aside / name)
        write_record(
            aside / _STATE,
            format_version=FORMAT_VERSION,
            image=image,
            ema_steps=ema.optimization_step,
            begun=begun,
            processes=processes,
            halvings=halvings,
            parts=list(earlier),
            digests=digests_of(aside, _TENSORS),
        )
        for name in _TENSORS:  # which safetensors lets their owner alone read
            shutil.copymode(aside / _STATE, aside / name)
    for old in run.checkpoints[:-_KEPT]:
        shutil.rmtree(old)


def begun_processes(run: Run) -> int | None:
    """In how many processes the newest whole checkpoint of a run was made, where there is one that says so."""
    found = _newest(run)
    return found[1].get("processes") if found else None


def parts_of(run: Run) -> list[int]:
    """The images that the parts of a run have come to, the last one among them: one part unless it was extended."""
    if not run.checkpoints:
        return []
    state = read_json(run.checkpoints[-1] / _STATE)
    return [*state.get("parts", []), state["image"]]


def load_checkpoint(
    run: Run, model: nn.Module, ema: EMAModel, optimizer: Optimizer, begun: dict[str, Any]
) -> tuple[int, int, list[int]]:
    """Put the newest whole checkpoint into model, EMA and optimizer.

    Return the image to go on from, how often the learning rate was halved before, 0 and 0 without one; and the images
    that earlier parts of the run ended at.

    Raises:
        SmaltiError: all are damaged, or it is of another version, or of a run that was begun otherwise, or has come
            further than is asked for.
    """
    found = _newest(run)
    if found is None:
        return 0, 0, []
    folder, state = found
    if state.get("format_version") != FORMAT_VERSION:
        raise SmaltiError(
            f"{folder}: the checkpoint is of another version of smalti, which alone can go on with it; the model loads "
            "with this one, or train again in a new folder."
        )
    image, ema_steps, halvings, then = (state.get(name, 0) for name in ("image", "ema_steps", "halvings", "begun"))
    counts = (image, ema_steps, halvings)
    if not all(type(count) is int and count >= 0 for count in counts) or not isinstance(then, dict):
        raise SmaltiError(f"{folder / _STATE}: does not say how far the run had come; train again in a new folder.")
    before = {"precision": begun.get("precision"), **then}  # which earlier versions did not write down
    changed = differences(before, begun, _MAY_CHANGE)
    if changed:
        raise SmaltiError(f"{run.folder}: was begun otherwise ({'; '.join(changed)}); resume with the same.")
    earlier = _earlier(run, image, state, begun)
    try:
        weights, averages, moments = (load_file(folder / name) for name in _TENSORS)
        _fill(dict(model.named_parameters()), weights)
        _fill(_named(model, ema.shadow_params), averages)
        optimizer.load(moments)
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SmaltiError(
            f"{folder}: the checkpoint is of another network ({reason}); train again in a new folder."
        ) from error
    ema.optimization_step = ema_steps
    return image, halvings, earlier


def _earlier(run: Run, image: int, state: dict[str, Any], begun: dict[str, Any]) -> list[int]:
    """The images that earlier parts ended at: a run that is extended begins another where its rate was falling.

    Where it was not it goes on as if it had been begun for longer.
    """
    parts, then, now = state.get("parts", []), state["begun"].get("images"), begun["images"]
    known = [then, *parts] if isinstance(parts, list) else [None]
    if not all(type(each) is int for each in known):
        raise SmaltiError(f"{run.folder}: does not say for how long the run was begun; train again in a new folder.")
    if now < then:
        raise SmaltiError(
            f"{run.folder}: was begun for {then} images, and trained on {image}; ask for as many or more."
        )
    began = parts[-1] if parts else 0
    falling = image > then - begun["decay"] * (then - began)
    return [*parts, image] if now > then and falling else parts


def forget_later(run: Run, image: int) -> None:
    """Remove the checkpoints after an image that a run goes on from: they are damaged, which is said."""
    for folder in run.checkpoints:
        if folder.name > run.checkpoint(image).name:
            print(f"{folder}: the checkpoint is damaged; going on from image {image}, the one before", file=sys.stderr)
            shutil.rmtree(folder)


def _newest(run: Run) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that is what was written, and its state; none where there are no checkpoints.

    Raises:
        SmaltiError: all are damaged.
    """
    damage: SmaltiError | None = None
    for folder in reversed(run.checkpoints):
        try:
            state = read_json(folder / _STATE)
            digests = state.get("digests", {})
            if not isinstance(digests, dict):
                raise SmaltiError(f"{folder / _STATE}: holds no digests; copy the folder again.")
            require_digests(folder, digests)
        except SmaltiError as error:
            damage = damage or error
        else:
            return folder, state
    if damage is not None:
        raise SmaltiError(f"{run.folder}: no checkpoint is whole ({damage}); train again in a new folder.")
    return None


def _named(model: nn.Module, tensors: list[Tensor]) -> dict[str, Tensor]:
    return dict(zip((name for name, _ in model.named_parameters()), tensors, strict=True))


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)


@torch.no_grad()
def _fill(targets: dict[str, Tensor], sources: dict[str, Tensor]) -> None:
    if targets.keys() != sources.keys():
        raise KeyError("its tensors have other names")
    for name, target in targets.items():
        source = sources[name]
        if source.shape != target.shape or source.dtype != target.dtype:
            raise ValueError(f"{name} is {source.dtype} of shape {list(source.shape)}")
        if not source.isfinite().all():
            raise ValueError(f"{name} holds what is no number")
        target.copy_(source)
