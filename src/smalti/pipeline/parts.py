"""What a saved model may be made of: looked at before anything that it names is imported."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import SchedulerMixin
from torch import nn

import smalti
from smalti.component import Component
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
    code = next((path for place in ("", *PARTS) for path in sorted((folder / place).glob("*.py"))), None)
    if code is not None:
        raise SmaltiError(f"{code}: models hold no code; get the model anew, or remove the file if it is yours.")


def require_finite(folder: Path, parts: Mapping[str, Any]) -> None:
    """Refuse a model with trained weights that are no numbers: it would make pictures all the same.

    Raises:
        SmaltiError: so it is.
    """
    networks = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    for key, weight in nn.ModuleDict(networks).named_parameters():
        if not weight.isfinite().all():
            name, _, own = key.partition(".")
            raise SmaltiError(
                f"{folder / name}: its {own} holds what is no number; copy the model again, or train it anew at a "
                "lower learning rate."
            )


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
