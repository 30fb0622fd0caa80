"""The lines of `metrics.jsonl`, and of a tracker: means of what was measured since the line before."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any, TextIO

from PIL import Image
from torch import Tensor

from smalti.files import read_json_lines, write_whole
from smalti.locks import only_writer
from smalti.model_folder import Run
from smalti.training.held_out import HeldOutLoss
from smalti.training.learner import Learner
from smalti.training.tracking import Tracked, TrackerName, tracked

Line = dict[str, Any]


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


class Log:
    """Where the lines go, and sample grids: nowhere in processes that do not write."""

    def __init__(self, file: TextIO | None = None, tracker: Tracked | None = None):
        self._file, self._tracker = file, tracker

    def line(self, line: Line) -> None:
        """Append a line."""
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        if self._tracker is not None:
            self._tracker.line(line)

    def picture(self, image: int, picture: Image.Image | None) -> None:
        """Give the tracker the sample grid after so many images, where there are both."""
        if self._tracker is not None and picture is not None:
            self._tracker.picture(image, picture)


@contextmanager
def log_of(run: Run, image: int, log_with: TrackerName | None, settings: Line) -> Iterator[Log]:
    """The log of a run from an image on, without the lines that a lost part of the run had written."""
    path = run.metrics
    with ExitStack() as held:
        held.enter_context(only_writer(run.folder))
        tracker = held.enter_context(tracked(log_with, run, image, settings)) if log_with else None
        kept = [line for line in read_json_lines(path) if line.get("images", image + 1) <= image]
        write_whole(path, "".join(f"{json.dumps(line)}\n" for line in kept).encode())
        yield Log(held.enter_context(path.open("a", encoding="utf-8")), tracker)


def has_line(run: Run, image: int) -> bool:
    """Whether the checkpoint at an image is one of those at which the loss on held-out photos was measured."""
    return image in HeldOutLoss.read(run.metrics).images
