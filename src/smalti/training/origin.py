"""A model whose weights another training begins with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from smalti.data import AnyLatents
from smalti.errors import SmaltiError
from smalti.files import fingerprint, read_json
from smalti.model_folder import ModelFolder
from smalti.nets import NetSettings, take_weights
from smalti.pipeline import SmaltiPipeline
from smalti.records import differences

_HAS_NO_WEIGHTS = {"dropout"}  # settings of a network that another may have otherwise


@dataclass(frozen=True)
class Origin:
    """A trained model to go on from, with other photos under the same codec."""

    name: str
    pipe: SmaltiPipeline
    model: dict[str, Any]
    """Process and network, as its record has them."""
    images_trained: int

    @classmethod
    def find(cls, model: str | Path) -> "Origin":
        """A model folder, or `owner/name` on the Hub; its averaged weights are taken.

        Raises:
            SmaltiError: there is no such model, or it does not say what it is.
        """
        folder = ModelFolder.find(model)
        record = read_json(folder.generator.record) if folder.generator.record.is_file() else {}
        if "model" not in record:
            raise SmaltiError(
                f"{model}: does not say how it was trained ({folder.generator.record.name}), so nothing can go on from "
                "it; name a model that does."
            )
        pipe = SmaltiPipeline.from_pretrained(folder.path)
        made = record["model"] | {"net": _settings_it_had_without_saying(pipe) | record["model"]["net"]}
        return cls(str(model), pipe, made, record.get("images_trained", 0))

    @cached_property
    def fingerprint(self) -> str:
        """Changes with any of its weights."""
        return fingerprint(*(weight.numpy(force=True) for weight in self.pipe.net.parameters()))

    @property
    def record(self) -> dict[str, Any]:
        """What is kept of it with the model that goes on from it."""
        return {"model": self.name, "weights": self.fingerprint, "images_trained": self.images_trained}

    def classes_with(self, classes: Sequence[str]) -> list[str]:
        """Its classes, and after them those that are new."""
        return [*self.pipe.classes, *(name for name in classes if name not in self.pipe.classes)]

    def require_like(self, latents: AnyLatents, model: Mapping[str, Any]) -> None:
        """Refuse latents of another codec, and another process or network.

        Raises:
            SmaltiError: so it is.
        """
        if latents.manifest.codec_fingerprint != self.pipe.codec.fingerprint:
            raise SmaltiError(
                f"{latents.folder}: was encoded with another codec ({latents.manifest.codec}) than that of {self.name} "
                f"({self.pipe.codec.spec}); encode the photos with --codec {self.name}/codec."
            )
        differing = differences(_with_weights(self.model), _with_weights(model))
        if differing:
            raise SmaltiError(
                f"{self.name}: is another kind of model than is asked for ({'; '.join(differing)}); ask for what it is."
            )

    def begin(self, pipe: SmaltiPipeline) -> None:
        """Give an untrained model these weights, and the process that they know.

        Raises:
            SmaltiError: its network is built otherwise.
        """
        try:
            take_weights(pipe.net, self.pipe.net)
        except SmaltiError as error:
            raise SmaltiError(f"{self.name}: cannot be gone on from: {error}") from error
        # How its coordinates are scaled follows from how often codewords occurred in its own photos.
        pipe.register_modules(process=self.pipe.process)


def _settings_it_had_without_saying(pipe: SmaltiPipeline) -> dict[str, Any]:
    """Settings that came after a network was made, as it was made without them."""
    kinds = [kind for kind in NetSettings.kinds().values() if kind.network is type(pipe.net)]
    return {field.name: pipe.net.config[field.name] for kind in kinds for field in fields(kind)}


def _with_weights(model: Mapping[str, Any]) -> dict[str, Any]:
    net = {name: value for name, value in model["net"].items() if name not in _HAS_NO_WEIGHTS}
    return {**model, "net": net}
