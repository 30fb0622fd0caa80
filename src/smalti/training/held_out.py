"""The loss on photos that are held out while a network trains: where it was lowest, and when more would harm."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.files import read_json_lines

MEASURED = "held_out_loss"
"""What a line of `metrics.jsonl` calls it."""

PATIENCE = 3
"""Checkpoints in a row at which the loss has to lie above its lowest before a run is ended."""
RISE = 0.01
"""By how much of the lowest they have to, each: less may come of the few levels of noise that it is measured at."""


@dataclass(frozen=True, slots=True)
class HeldOutLoss:
    """The loss on held-out photos at the checkpoints of a run: of averaged weights, without dropout.

    It is always of the same latents, under the same noise at the same levels, so that differences between checkpoints
    are those of the network.
    """

    images: list[int]
    """Images seen at each checkpoint."""
    loss: list[float]

    @classmethod
    def of(cls, lines: Sequence[dict[str, Any]]) -> "HeldOutLoss":
        """From lines of metrics; of most of them nothing is known."""
        known = [line for line in lines if MEASURED in line]
        return cls([line["images"] for line in known], [line[MEASURED] for line in known])

    @classmethod
    def read(cls, metrics: Path) -> "HeldOutLoss":
        """From a `metrics.jsonl`."""
        return cls.of(read_json_lines(metrics))

    @property
    def lowest(self) -> tuple[int, float] | None:
        """The images seen where it was lowest, and the loss there; None where it was never measured."""
        if not self.loss:
            return None
        at = min(range(len(self.loss)), key=self.loss.__getitem__)
        return self.images[at], self.loss[at]

    @property
    def rises(self) -> bool:
        """Whether the last checkpoints all lie above the lowest: the network learns the photos by heart."""
        latest = self.loss[-PATIENCE:]
        return len(self.loss) > PATIENCE and min(latest) > (1 + RISE) * min(self.loss)

    @property
    def told(self) -> str:
        """Where it was lowest and what came after, in words; nothing where it was never measured."""
        if self.lowest is None:
            return ""
        images, loss = self.lowest
        if images == self.images[-1]:
            return f"the loss on held-out photos was lowest at the end ({loss:.4g})"
        more = self.loss[-1] / loss - 1
        if more <= RISE:
            return (
                f"the loss on held-out photos was lowest after {images:,} images ({loss:.4g}) and is about that since"
            )
        return (
            f"the loss on held-out photos was lowest after {images:,} images ({loss:.4g}) and then rose by {more:.1%}: "
            "from there on the network learns the photos by heart"
        )
