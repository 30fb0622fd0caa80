"""The lines of `metrics.jsonl`: means of what was measured since the line before."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from torch import Tensor

from smalti.files import read_json_lines, write_whole
from smalti.locks import only_writer
from smalti.model_folder import Run
from smalti.training.held_out import HeldOutLoss
from smalti.training.learner import Learner

Line = dict[str, Any]
Log = Callable[[Line], None]


class Meter:
    """Means of the figures since the last line, kept on the device so that no step waits for them."""

    def __init__(self, image: int):
        self._restart(image)

    def _restart(self, image: int) -> None:
        self.image, self.began, self.steps = image, perf_counter(), 0
        self.sums: dict[str, Tensor] = {}

    def add(self, figures: dict[str, Tensor]) -> None:
        """Count those of a step."""
        self.steps += 1
        for name, value in figures.items():
            value = value.detach().float().mean()
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def line(self, image: int, learner: Learner, learning_rate: float) -> Line:
        """The means over all processes, which all have to ask for them, and begin anew."""
        means = learner.mean_of_all({name: total / self.steps for name, total in self.sums.items()})
        speed = (image - self.image) / max(perf_counter() - self.began, 1e-9)
        self._restart(image)
        return {"images": image, **means, "learning_rate": learning_rate, "images_per_second": round(speed, 2)}


@contextmanager
def metrics_of(run: Run, image: int) -> Iterator[Log]:
    """A function that appends a line to `metrics.jsonl`, without the lines that a lost part of the run had written."""
    path = run.metrics
    with only_writer(run.folder):
        kept = [line for line in read_json_lines(path) if line.get("images", image + 1) <= image]
        write_whole(path, "".join(f"{json.dumps(line)}\n" for line in kept).encode())
        with path.open("a", encoding="utf-8") as file:

            def log(line: Line) -> None:
                file.write(json.dumps(line) + "\n")
                file.flush()

            yield log


def has_line(run: Run, image: int) -> bool:
    """Whether the checkpoint at an image is one of those at which the loss on held-out photos was measured."""
    return image in HeldOutLoss.read(run.metrics).images


def no_log(line: Line) -> None:
    """What the processes that do not write do with their lines."""
