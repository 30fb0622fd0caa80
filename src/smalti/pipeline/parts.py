"""What a saved model may be made of: looked at before anything that it names is imported."""

import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import SchedulerMixin

import smalti
from smalti.codec import Codec
from smalti.component import Component
from smalti.diffusion import TRAINING_TIMESTEPS, Process
from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.model_folder import INDEX
from smalti.schedulers import SCHEDULERS

PARTS = ("codec", "process", "net", "scheduler", "refiner")


def require_known_parts(folder: Path) -> None:
    """Refuse a model that is made of anything else than our classes, the schedulers of our table, and extensions.

    diffusers imports what the index of a model names, and some versions of it run code that lies beside. Extensions are
    classes of packages that this program itself has imported, made from our bases.

    Raises:
        SmaltiError: the index names something else, or the folder holds code.
    """
    index = read_json(folder / INDEX)
    for name in ("_class_name", *PARTS):
        named = index.get(name)
        known = isinstance(named, str) if name == "_class_name" else named is None or _is_known(name, named)
        if not known:
            raise SmaltiError(
                f"{folder}: it is made of {named}, which is no part of smalti, so it is not loaded; get the model anew."
            )
    scheduler = folder / "scheduler" / SchedulerMixin.config_name
    if scheduler.is_file():  # of one that is no object diffusers would ask the Hub
        times = read_json(scheduler).get("num_train_timesteps", TRAINING_TIMESTEPS)
        if times != TRAINING_TIMESTEPS:
            raise SmaltiError(
                f"{scheduler}: is for {times!r} times, and not {TRAINING_TIMESTEPS}; copy the model again."
            )
    code = next((path for place in ("", *PARTS) for path in sorted((folder / place).glob("*.py"))), None)
    if code is not None:
        raise SmaltiError(f"{code}: models hold no code; get the model anew, or remove the file if it is yours.")


def require_agreement(codec: Codec, process: Process, net: Component, refiner: Component | None) -> None:
    """Refuse parts that were made for another codec: they would make pictures all the same. Keep for which they are.

    Parts of earlier versions do not say so, and are taken as they are.

    Raises:
        SmaltiError: so they were.
    """
    for name, part in (("process", process), ("network", net), ("refiner", refiner)):
        if part is not None and part.made_for is None:
            part.make_for(codec.fingerprint)
        if part is not None and part.made_for != codec.fingerprint:
            raise SmaltiError(f"the {name} was made for another codec; load both from one model folder.")
    if not torch.equal(~process.coordinates.padding.cpu(), codec.valid.cpu()):
        raise SmaltiError("the process has coordinates of other codewords than the codec has; make the model again.")


def _is_known(part: str, named: Any) -> bool:
    if named == [None, None]:
        return part == "refiner"
    if not (isinstance(named, list) and len(named) == 2 and all(isinstance(word, str) for word in named)):
        return False
    library, kind = named
    if library == "diffusers":
        return part == "scheduler" and kind in {row.kind.__name__ for row in SCHEDULERS.values()}
    if library == "smalti" and kind not in smalti.__all__:
        return False
    found = getattr(sys.modules.get(library), kind, None)
    return isinstance(found, type) and issubclass(found, SchedulerMixin if part == "scheduler" else Component)
