"""A model folder: every name in it, what is written when and replaced how, what is downloaded and what is not.

    model_index.json  codec/  process/  net/  scheduler/  refiner/     the pipeline, with averaged weights
    train.json  metrics.jsonl  checkpoints/  progress/                 the training of the generator
    levels.json                                                        its loss by level of noise
    refining/ {refine.json  metrics.jsonl  checkpoints/}               the training of its refiner
    logs/  refining/logs/                                              both in a tracker, where that was asked for
    latents/  held_out/                                                what it is trained on, and what it is not
    create.json  report.html  report.json  samples.png                 by `smalti create`

At any time from its first writing on the folder holds a whole model: parts are written aside and take their places in
one step.
"""

import shutil
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from smalti.digests import replace_sealed
from smalti.errors import SmaltiError
from smalti.files import new_folder, read_json, refuse_occupied, write_json, write_record
from smalti.hub import download as had_from_hub
from smalti.hub import is_asked_for

__all__ = ["INDEX", "WEIGHTS", "ModelFolder", "Run", "Saved"]

INDEX = "model_index.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"

_REFINER = "refiner"
_TRAINING = ["checkpoints/*", "refining/*", "latents/*", "held_out/*", "logs/*"]  # what is not downloaded


@runtime_checkable
class Saved(Protocol):
    """What is written into a folder: pipelines and their parts."""

    def save_pretrained(self, save_directory: Any, /) -> Any:
        """Write everything into a folder."""
        ...


class Run:
    """The folder of a training: what was asked for, the losses, checkpoints.

    One rule holds for resuming, whatever is trained: a run goes on from its newest checkpoint, as it was begun and in
    no other way; where there is no checkpoint nothing would be lost, and it begins, or begins again.
    """

    def __init__(self, folder: Path, record: str = "train.json"):
        self.folder = folder
        self.record = folder / record
        self._checkpoints = folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        """A line of losses every so many images."""
        return self.folder / "metrics.jsonl"

    @property
    def logs(self) -> Path:
        """What a tracker keeps."""
        return self.folder / "logs"

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoint folders, oldest first."""
        return sorted(path for path in self._checkpoints.glob("[0-9]*") if path.is_dir())

    def checkpoint(self, image: int) -> Path:
        """Where the checkpoint after so many images lies."""
        return self._checkpoints / f"{image:012d}"

    @property
    def trained(self) -> int:
        """Images that the newest checkpoint has come to, 0 without one."""
        found = self.checkpoints
        return int(found[-1].name) if found else 0

    def begin(self) -> None:
        """Make the place of the checkpoints: where there is none beside metrics, somebody has removed it."""
        self._checkpoints.mkdir(exist_ok=True)

    def clear(self) -> None:
        """Remove all checkpoints, so that the run begins again."""
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    def require_nothing_to_lose(self) -> None:
        """Refuse to begin again what has come to checkpoints that are gone: the trained weights would be lost.

        Raises:
            SmaltiError: so it is.
        """
        trained = read_json(self.record).get("images_trained", 0) if self.record.is_file() else 0
        removed = self.metrics.is_file() and not self._checkpoints.is_dir()
        if removed or (trained and not self.checkpoints):
            raise SmaltiError(f"{self.folder}: its checkpoints are gone, so training cannot go on; name a new folder.")

    def require_begun(self) -> None:
        """Refuse to resume what was never begun.

        Raises:
            SmaltiError: so it is.
        """
        if not self.record.is_file():
            raise SmaltiError(f"{self.folder}: no training was begun there; start without --resume.")


class ModelFolder:
    """A folder that holds a model, or is going to."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.generator = Run(self.path)
        self.refining = Run(self.path / "refining", "refine.json")
        self.levels = self.path / "levels.json"
        self.latents = self.path / "latents"
        self.held_out = self.path / "held_out"
        self.plan = self.path / "create.json"
        self.samples = self.path / "samples.png"
        self.report = self.path / "report.html"
        self.figures = self.path / "report.json"
        self._progress = self.path / "progress"

    @property
    def is_begun(self) -> bool:
        """Whether a model is there, or something that is going to be one."""
        return any(path.is_file() for path in (self.path / INDEX, self.plan, self.generator.record))

    @classmethod
    def find(cls, model: str | Path, **download: Any) -> "ModelFolder":
        """The folder of a model, downloaded without its training state if `model` is an `owner/name` on the Hub.

        Raises:
            SmaltiError: there is no such model.
        """
        folder = Path(model)
        if is_asked_for(folder):
            folder = had_from_hub(str(model), "model", ignore_patterns=_TRAINING, **download)
        found = cls(folder)
        if not folder.is_dir():
            raise SmaltiError(f"{folder}: there is no such folder; check the name.")
        if not found.exists:
            raise SmaltiError(f"{folder}: holds no model (no {INDEX}); `smalti train` or `create` makes one.")
        return found

    @classmethod
    def here(cls, model: str | Path) -> "ModelFolder":
        """The folder of a model on this machine, where things can be put.

        Raises:
            SmaltiError: there is no such folder, or it holds no model.
        """
        if not Path(model).is_dir():
            raise SmaltiError(f"{model}: there is no such folder; a model of the Hub has to be copied into one first.")
        return cls.find(model)

    def __str__(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def exists(self) -> bool:
        """Whether a model is there."""
        return (self.path / INDEX).is_file()

    @property
    def has_latents(self) -> bool:
        """Whether what it was trained on is still there."""
        return self.latents.is_dir() and any(self.latents.iterdir())

    def refuse_begun(self, *signs: Path) -> None:
        """Refuse to begin where something lies already; where that is a run to go on with, say how.

        By its record such a run is known, or by one of some more `signs`.

        Raises:
            SmaltiError: there is something.
        """
        if any(path.is_file() for path in (self.plan, self.generator.record, *signs)):
            raise SmaltiError(
                f"{self}: the output folder is not empty: a run was begun there; go on with --resume, or name another."
            )
        refuse_occupied(self.path)

    def progress(self, image: int) -> Path:
        """The sample grid after so many images of training."""
        return self._progress / f"{image:09d}.png"

    @property
    def sample_grids(self) -> dict[int, Path]:
        """All of these that are there, by the images of training, oldest first."""
        return {int(path.stem): path for path in sorted(self._progress.glob("*.png")) if path.stem.isdecimal()}

    def trained_on(self) -> dict[str, Any] | None:
        """The manifest of the latents that the model was trained on, where that is known."""
        record = self.generator.record
        return read_json(record).get("latents") if record.is_file() else None

    def begin(self, pipeline: Saved, asked: dict[str, Any], *, again: bool = False) -> None:
        """Write a new model beside what lies there: what was asked first, the index of its parts last.

        With `again` it takes the place of another.

        Raises:
            SmaltiError: there is a model already.
        """
        index = self.path / INDEX
        if again:
            index.unlink(missing_ok=True)
        elif index.exists():
            raise SmaltiError(f"{self}: holds a model already; name a new folder, or go on with --resume.")
        self.path.mkdir(parents=True, exist_ok=True)
        write_record(self.generator.record, **asked)
        whole = self._aside("model", pipeline)
        for part in sorted(whole.iterdir(), key=lambda path: path.name == INDEX):
            shutil.rmtree(self.path / part.name, ignore_errors=True)
            part.rename(self.path / part.name)
        whole.rmdir()

    def replace_net(self, net: Saved) -> None:
        """Put a network's weights in the place of those there, in one step."""
        aside = self._aside("net", net)
        replace_sealed(aside / WEIGHTS, self.path / "net" / WEIGHTS)
        shutil.rmtree(aside)

    def replace_refiner(self, refiner: Saved) -> None:
        """Put a refiner into the model, in the place of another."""
        aside = self._aside(_REFINER, refiner)
        self._name_refiner(None, None)
        shutil.rmtree(self.path / _REFINER, ignore_errors=True)
        aside.rename(self.path / _REFINER)
        self._name_refiner("smalti", "Refiner")

    def _name_refiner(self, *named: str | None) -> None:
        """Say in the index what the refiner is."""
        aside = self.path / f".{INDEX}"
        write_json(aside, read_json(self.path / INDEX) | {_REFINER: list(named)})
        replace_sealed(aside, self.path / INDEX)

    def _aside(self, name: str, saved: Saved) -> Path:
        """A hidden folder of that name with all of what is saved in it."""
        aside = self.path / f".{name}"
        shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed here
        with new_folder(aside) as whole:
            saved.save_pretrained(whole)
        return aside
