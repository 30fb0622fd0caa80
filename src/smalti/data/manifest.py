"""What is written beside latents: of which images they are, how these were cropped, with what they were encoded."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smalti.data.pictures import CropSettings
from smalti.errors import SmaltiError
from smalti.files import fingerprint, read_json
from smalti.machine import MADE_WITH
from smalti.model_folder import ModelFolder
from smalti.pixels import MOST_PIXELS
from smalti.records import from_record

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The images that a folder of latents was made of, and how."""

    format_version: int = FORMAT_VERSION
    source: str
    source_fingerprint: str
    """Changes with the files, the choice among them, and the crop."""
    crop: CropSettings
    """Whoever needs the photos again opens them so."""
    images: int
    """Images that were encoded, each counted once."""
    views: int
    """Passes over them, each with another random crop."""
    flips: bool
    """Whether each was encoded mirrored as well."""
    size: tuple[int, int]
    """Height and width in pixels; of several sizes that of most images."""
    classes: list[str]
    """Names of the classes that labels index; empty without labels."""
    codec: str
    codec_fingerprint: str
    skipped: list[list[str]]
    """Name and reason of what could not be read."""
    told: str = ""
    """Of which classes the images are, and what was left aside, in words."""
    shards: list[str]
    """Files of codes, in order."""
    parts: list[str] = field(default_factory=list)
    """Folders of the latents of one size each, where these are of several, in the order of the sizes of the crop."""
    digests: dict[str, str] = field(default_factory=dict)
    """Of all files of arrays, by their names."""

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a folder of latents.

        Raises:
            SmaltiError: it is missing or damaged, or comes from a later version.
        """
        content = read_json(folder / "manifest.json")
        version = content.get("format_version", 0)
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise SmaltiError(f"{folder}: written by a later version of smalti; update smalti or encode again.")
        return cls._of(content, folder)._checked(folder)

    @classmethod
    def of_model(cls, folder: ModelFolder) -> "Manifest | None":
        """The manifest of the latents that a model was trained on, where its folder says so.

        Raises:
            SmaltiError: what it says is no manifest.
        """
        content = folder.trained_on()
        return None if content is None else cls._of(content, folder.generator.record)

    @classmethod
    def _of(cls, content: dict[str, Any], where: Path) -> "Manifest":
        return from_record(cls, {key: value for key, value in content.items() if key not in MADE_WITH}, where)

    def _checked(self, folder: Path) -> "Manifest":
        """Itself, if it is of a number of images that there can be, of a size that pictures have.

        Raises:
            SmaltiError: it is not.
        """
        if min(self.images, self.views, *self.size) < 1 or self.size[0] * self.size[1] > MOST_PIXELS:
            size = "x".join(map(str, self.size))
            raise SmaltiError(f"{folder}: says that it is of {self.images} images of {size} pixels; encode them again.")
        return self

    @property
    def fingerprint(self) -> str:
        """Changes with anything that changes the latents."""
        return fingerprint(self.source_fingerprint, self.codec_fingerprint, f"{self.images} {self.views} {self.flips}")
