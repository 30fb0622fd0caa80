"""Trackers, by accelerate's classes: what `metrics.jsonl` says, and sample grids, in TensorBoard, trackio or wandb."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

import numpy as np
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, get_available_trackers
from PIL import Image

from smalti.errors import SmaltiError
from smalti.model_folder import Run

TrackerName = Literal["tensorboard", "trackio", "wandb"]

_PROJECT = "smalti"
_GRID = "samples"
_ID = re.compile(r"[0-9a-f]{32}")


def require_tracker(name: str | None) -> None:
    """Refuse a tracker that is not installed; None is none.

    Raises:
        SmaltiError: it is not, or there is none of that name.
    """
    known = get_args(TrackerName)
    if name is None:
        return
    if name not in known:
        raise SmaltiError(f"'{name}' is no tracker; take {', '.join(known[:-1])} or {known[-1]}.")
    if name not in map(str, get_available_trackers()):
        raise SmaltiError(f"logging with {name} takes the package {name}, which is not installed; pip install {name}.")


class Tracked:
    """A run in a tracker; steps are images seen."""

    def __init__(self, tracker: GeneralTracker):
        self._tracker = tracker

    def line(self, line: dict[str, Any]) -> None:
        """Log the numbers in a line of `metrics.jsonl`."""
        values = {name: value for name, value in line.items() if isinstance(value, int | float) and name != "images"}
        self._tracker.log(values, step=line["images"])

    def picture(self, image: int, picture: Image.Image) -> None:
        """Log a sample grid, by what each tracker takes for a picture."""
        pixels = np.asarray(picture.convert("RGB"))
        if self._tracker.name == "trackio":  # for which accelerate logs no pictures
            import trackio  # pyright: ignore[reportMissingImports]

            self._tracker.log({_GRID: trackio.Image(pixels)}, step=image)
        else:
            layout = {"dataformats": "NHWC"} if self._tracker.name == "tensorboard" else {}
            self._tracker.log_images({_GRID: pixels[None]}, step=image, **layout)  # pyright: ignore


@contextmanager
def tracked(name: TrackerName, run: Run, image: int, settings: dict[str, Any]) -> Iterator[Tracked]:
    """A run in a tracker, from an image on: one that begins has a log of its own, one that goes on goes on in its.

    What is kept in the run's folder is under `logs/`. The settings are logged at every start, since one that goes on
    may be asked for more images.

    Raises:
        SmaltiError: the tracker is not installed, or does not begin.
    """
    require_tracker(name)
    try:
        tracker = _begun(name, run, image)
    except Exception as error:  # of whatever it asks the network or its files for
        reason = " ".join(str(error).split())
        raise SmaltiError(f"{name} cannot log {run.folder} ({reason}); mend that, or leave the tracker out.") from error
    try:
        tracker.store_init_configuration(_flat(settings))
        yield Tracked(tracker)
    finally:
        tracker.finish()


def _begun(name: TrackerName, run: Run, image: int) -> GeneralTracker:
    """The tracker, with the run as it stands at an image."""
    known_by = run.logs / "id"
    if not image:
        known_by.unlink(missing_ok=True)
        shutil.rmtree(run.logs / _PROJECT, ignore_errors=True)
    run.logs.mkdir(exist_ok=True)
    key = _key(known_by)
    label = f"{run.folder.resolve().name}-{key[:8]}"
    options: dict[TrackerName, dict[str, Any]] = {
        "tensorboard": {"purge_step": image + 1},  # what a lost part of the run had logged
        "trackio": {"name": label, "resume": "allow"},
        "wandb": {"name": label, "resume": "allow", "id": key, "dir": str(run.logs)},
    }
    made: Any = LOGGER_TYPE_TO_CLASS[name]
    place = (run.logs,) if made.requires_logging_directory else ()
    tracker = made(_PROJECT, *place, **options[name])
    tracker.start()
    return tracker


def _key(file: Path) -> str:
    """By which trackers that keep runs elsewhere know this one again."""
    if not file.is_file() or _ID.fullmatch(file.read_text(encoding="ascii", errors="replace")) is None:
        file.write_text(uuid4().hex, encoding="ascii")
    return file.read_text(encoding="ascii")


def _flat(settings: dict[str, Any], within: str = "") -> dict[str, bool | int | float | str]:
    """Settings as trackers take them: plain values, those of settings in settings under both names."""
    flat: dict[str, bool | int | float | str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{within}{name}/")
        elif value is not None:
            flat[within + name] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
