"""A pipeline that is put on the Hub by itself, with the card that `smalti publish` makes."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smalti.hub import UPLOAD_OPTIONS, upload
from smalti.model_folder import ModelFolder
from smalti.pipeline.assembled import Assembled
from smalti.pipeline.card import CARD, PUBLISHED, evaluations, model_card

_OPTIONS = (*UPLOAD_OPTIONS, "license", "data")


class Published(Assembled):
    """Parts that are uploaded once they are whole: written, sealed, and with a card."""

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory: str | Path, *args: Any, push_to_hub: bool = False, **options: Any
    ) -> None:
        """Write the parts and the index of them, and digests beside each; options are those of diffusers.

        With `push_to_hub` the folder is then published as `repo_id`, with a card of `license` and `data`, unless a
        README.md is there already.

        Raises:
            SmaltiError: the Hub does not take it.
        """
        asked = {name: options.pop(name) for name in _OPTIONS if push_to_hub and name in options}
        name = options.pop("repo_id", Path(save_directory).name) if push_to_hub else None
        super().save_pretrained(save_directory, *args, **options)
        if name is not None:
            self._publish(Path(save_directory), name, **asked)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Publish the model as `owner/name` and return the address; options are those of diffusers, `license`, `data`.

        Raises:
            SmaltiError: the Hub does not take it.
        """
        asked = {name: options.pop(name) for name in _OPTIONS if name in options}
        with TemporaryDirectory(prefix="smalti-") as folder:
            self.save_pretrained(folder, **options)
            return self._publish(Path(folder), repo_id, **asked)

    def _publish(
        self,
        folder: Path,
        name: str,
        license: str | None = None,
        data: str | None = None,
        **options: Any,
    ) -> str:
        """Put a saved model on the Hub, with a card."""
        if not (folder / CARD).exists():
            place = ModelFolder(folder)
            measured, _ = evaluations(self, place)
            model_card(self, place, name, licence=license, data=data, evaluation=measured).save(folder / CARD)
        return upload(folder, name, PUBLISHED, **options)
