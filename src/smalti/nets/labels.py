"""How networks take class labels: 0 ... classes - 1, and -1 for no label."""

from collections.abc import Mapping

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from smalti.errors import SmaltiError

NO_LABEL = -1
_TABLE = "class_embedding.weight"  # of both networks, with a row a class and the last one for no label


def take_weights(net: nn.Module, origin: nn.Module) -> None:
    """Give a network the weights of another that is built alike, but for its classes, of which it may have more.

    These come after those of the other, and begin as "no label" does; where the other has none that is 0, so that
    nothing is changed.

    Raises:
        SmaltiError: it is built otherwise.
    """
    given, wanted = origin.state_dict(), net.state_dict()
    for name, weight in wanted.items():
        if name.endswith(_TABLE) and name in given:
            *rows, none = given[name]
            given[name] = torch.stack([*rows, *[none] * (len(weight) - len(rows))])
        elif name.endswith(_TABLE):
            given[name] = torch.zeros_like(weight)
    differing = [name for name in given.keys() | wanted.keys() if _shape(given, name) != _shape(wanted, name)]
    if differing:
        raise SmaltiError(
            f"the networks are of different depth or size ({len(differing)} of their weights, such as "
            f"{min(differing)}); take pictures of the same size, or train from nothing."
        )
    net.load_state_dict(given)


def _shape(weights: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return weights[name].shape if name in weights else None


def label_rows(label: Int64[Tensor, " B"] | None, classes: int, like: Tensor) -> Int64[Tensor, " B"]:
    """The rows of an embedding table of classes + 1 rows, the last of which is for no label.

    Without `label` there is none for any image of the batch; `like` (B,) says how many they are, and on which device.
    """
    given = torch.full_like(like, NO_LABEL, dtype=torch.int64) if label is None else label
    return torch.where(given == NO_LABEL, classes, given)
