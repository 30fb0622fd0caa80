"""What sampling is steered by: labels, and worse outputs that it is led away from."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.component import Component
from smalti.diffusion import Process
from smalti.errors import SmaltiError
from smalti.nets import NO_LABEL


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


def label_rows_of(
    pipe: Model, labels: int | Sequence[int] | None, count: int, scale: float, guide: Any | None
) -> Int64[Tensor, " B"] | None:
    """Class indices of `count` pictures, one for all or one for each, on the device of the network.

    Raises:
        SmaltiError: the model does not have them, or there is nothing that guidance could go away from.
    """
    if labels is None:
        if scale != 1.0 and guide is None:
            raise SmaltiError("guidance needs labels or a guide: give one of them, or leave the guidance at 1.")
        return None
    given = torch.as_tensor([labels] * count if isinstance(labels, int) else list(labels))
    if len(given) != count:
        raise SmaltiError(f"{len(given)} labels for {count} pictures; give one, or one for each.")
    if ((given < NO_LABEL) | (given >= len(pipe.classes))).any():
        raise SmaltiError(f"a label is out of range: this model has {len(pipe.classes)} classes.")
    return given.to(next(pipe.net.parameters()).device)
