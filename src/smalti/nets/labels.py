"""How networks take class labels: 0 ... classes - 1, and -1 for no label."""

import torch
from jaxtyping import Int64
from torch import Tensor

NO_LABEL = -1


def label_rows(label: Int64[Tensor, " B"] | None, classes: int, like: Tensor) -> Int64[Tensor, " B"]:
    """The rows of an embedding table of classes + 1 rows, the last of which is for no label.

    Without `label` there is none for any image of the batch; `like` (B,) says how many they are, and on which device.
    """
    given = torch.full_like(like, NO_LABEL, dtype=torch.int64) if label is None else label
    return torch.where(given == NO_LABEL, classes, given)
