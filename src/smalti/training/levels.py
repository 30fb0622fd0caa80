"""How the loss goes with the level of noise, kept as training goes on."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from smalti.diffusion import Process
from smalti.files import read_json_lines, write_record

LEVELS = 20
_RECENT = 0.1  # share of the images seen that is told of
_LEAST = 5_000  # images, where that share is less
_DIGITS = 6


class LossByLevel:
    """Mean losses in equal parts of the noise schedule, from little noise to nothing else.

    While a network trains, each line of `metrics.jsonl` holds those of the images since the line before, so that a
    resumed run has them without any state of its own. They are of the weights of that time, with dropout, on photos
    that are trained on.
    """

    positions: ClassVar[list[float]] = [(level + 0.5) / LEVELS for level in range(LEVELS)]
    """The middle of each part, as a position from 0 to 1."""

    def __init__(self, device: torch.device | str = "cpu"):
        self.totals: Float[Tensor, "2 levels"] = torch.zeros(2, LEVELS, device=device)
        """The sum of losses in each part, and the number of images."""

    def add(self, position: Float[Tensor, " B"], loss: Float[Tensor, " B"]) -> None:
        """Count some images, without waiting for the device."""
        loss = loss.detach().float()
        part = (position * LEVELS).long().clamp(max=LEVELS - 1)  # where rounding makes it 1
        self.totals.index_add_(1, part, torch.stack([loss, torch.ones_like(loss)]))

    @property
    def images(self) -> list[int]:
        """Images in each part."""
        return [round(number) for number in self.totals[1].tolist()]

    @property
    def loss(self) -> list[float | None]:
        """The mean loss in each part; None where there was no image."""
        each = zip(*self.totals.tolist(), strict=True)
        return [float(f"{total / images:.{_DIGITS}g}") if images else None for total, images in each]

    @property
    def mean(self) -> float:
        """The mean loss of all images."""
        loss, images = self.totals.sum(1).tolist()
        return loss / images

    def line(self) -> dict[str, Any]:
        """What a line of `metrics.jsonl` says; nothing where no image had a position."""
        return {"loss_by_level": self.loss, "images_by_level": self.images} if any(self.images) else {}

    @classmethod
    def recent(cls, metrics: Path) -> "LossByLevel":
        """That of the last tenth of the images in `metrics.jsonl`, and of no fewer than 5,000 if there are as many."""
        lines = read_json_lines(metrics)
        seen = lines[-1]["images"] if lines else 0
        found = cls()
        for line in lines:
            if line["images"] > seen - max(_LEAST, _RECENT * seen) and "loss_by_level" in line:
                images = torch.tensor(line["images_by_level"])
                loss = torch.tensor([loss or 0.0 for loss in line["loss_by_level"]])
                found.totals += torch.stack([loss * images, images])
        return found


def write_levels(metrics: Path, process: Process, path: Path) -> None:
    """Write the recent loss by level: positions, times as the network is told them, and mean losses.

    Nothing is written where the metrics are of a time at which this was not kept.
    """
    found = LossByLevel.recent(metrics)
    if not any(found.images):
        return
    position = torch.tensor(found.positions, device=process.coordinates.table.device)
    content = {
        "images": sum(found.images),
        "position": found.positions,
        "time": process.time(process.level(position)).tolist(),
        "loss": found.loss,
    }
    write_record(path, **content)
