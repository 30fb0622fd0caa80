"""What sampling is steered by: labels, and worse outputs that it is led away from."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer
from torch import Tensor

from smalti.component import Component
from smalti.diffusion import Process
from smalti.errors import SmaltiError
from smalti.nets import NO_LABEL

Labels = int | str | Sequence[int | str] | Integer[Tensor, "..."] | np.ndarray
"""Classes by their indices or names, one for all pictures or one for each; -1 is no label."""


@runtime_checkable
class Model(Protocol):
    """What is asked of a pipeline."""

    process: Process
    net: Component
    size: tuple[int, int]
    classes: list[str]


def guided(
    net: Component, worse: Component | None, scale: float, x: Tensor, t: Tensor, label: Tensor | None
) -> Float[Tensor, "B *out h w"]:
    """out_worse + scale (out - out_worse), where the worse output is that of a network, or that for no label."""
    if scale == 1.0:
        return net(x, t, label)
    away = net(x, t, None) if worse is None else worse(x, t, label)
    return away + scale * (net(x, t, label) - away)


def require_alike(pipe: Model, guide: Model) -> None:
    """Refuse a guide whose network's outputs mean something else.

    Raises:
        SmaltiError: so they do.
    """
    settings = [
        {name: value for name, value in each.process.config.items() if not name.startswith("_")}
        for each in (pipe, guide)
    ]
    if settings[0] != settings[1] or guide.size != pipe.size or guide.classes != pipe.classes:
        raise SmaltiError(
            "the guide has another codec, process, size or classes; take a model of the same kind, trained for a "
            "shorter time or with a smaller network."
        )


def loaded_guide(pipe: Any, model: str) -> Any:
    """The model of that name or folder as a guide of a pipeline, on its device.

    Raises:
        SmaltiError: it cannot be had, or is of another kind.
    """
    guide = type(pipe).from_pretrained(model).to(pipe.device, next(pipe.net.parameters()).dtype)
    require_alike(pipe, guide)
    return guide


def require_steered(labels: Any | None, scale: float, guide: Any | None) -> None:
    """Refuse guidance that has nothing to go away from.

    Raises:
        SmaltiError: so it has.
    """
    if labels is None and guide is None and scale != 1.0:
        raise SmaltiError("guidance needs labels or a guide: give one of them, or leave the guidance at 1.")


def label_rows(classes: list[str], labels: Labels | None, count: int) -> Int64[Tensor, " B"] | None:
    """Class indices of `count` pictures.

    Raises:
        SmaltiError: a label is neither a whole number nor a name, or none of the classes, or there are more or
            fewer labels than pictures.
    """
    if labels is None:
        return None
    given = labels.tolist() if isinstance(labels, Tensor | np.ndarray) else labels
    each = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given] * count
    neither = [label for label in each if not isinstance(label, Integral | str)]
    if neither:
        raise SmaltiError(f"the label {neither[0]!r} is no class: give whole numbers, or names.")
    if len(each) != count:
        raise SmaltiError(f"{len(each)} labels for {count} pictures; give one, or one for each.")
    index = {label: class_index(label, classes) for label in set(each)}
    return torch.tensor([index[label] for label in each], dtype=torch.int64)


def class_index(label: int | str, classes: list[str]) -> int:
    """The index of a class, by its name or its number; -1 is no label.

    Raises:
        SmaltiError: there is none.
    """
    if isinstance(label, str):
        if label in classes:
            return classes.index(label)
        if label.isascii() and label.isdigit() and int(label) < len(classes):
            return int(label)
        have = f"its classes are {', '.join(classes[:20])}" if classes else "it was trained without labels"
        raise SmaltiError(f"the model has no class '{label}': {have}.")
    if not NO_LABEL <= label < len(classes):
        raise SmaltiError(f"the label {label} is out of range: this model has {len(classes)} classes.")
    return label
