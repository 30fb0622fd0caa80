"""Latents of several sizes: photos that kept their shapes."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from smalti.codec import Codec
from smalti.data.latents import Latents
from smalti.data.manifest import Manifest
from smalti.errors import SmaltiError
from smalti.files import beside


class MixedLatents:
    """A folder of `Latents` for each of several sizes, in the order of the crop's, and a manifest of them all."""

    def __init__(
        self, folder: str | Path, resident: torch.device | str | None = None, classes: Sequence[str] | None = None
    ):
        """Open it; `resident` and `classes` are as with `Latents`.

        Raises:
            SmaltiError: as `Latents` does, or what the folders hold does not go together.
        """
        self.folder = Path(folder)
        self.manifest = Manifest.read(self.folder)
        self._resident = resident
        self.parts = [Latents(beside(self.folder, name), resident, classes) for name in self.manifest.parts]
        """The latents of each size."""
        self._require_agreement()
        self.classes = self.parts[0].classes
        """Names of the classes that labels index; empty without labels."""
        self.counts: Int64[Tensor, "c K"] = torch.stack([part.counts for part in self.parts]).sum(0)
        """How often each codeword occurs."""

    def __reduce__(self) -> tuple[type["MixedLatents"], tuple[Path, torch.device | str | None, list[str]]]:
        """Another process opens the folder itself."""
        return MixedLatents, (self.folder.absolute(), self._resident, self.classes)

    def _require_agreement(self) -> None:
        """Refuse parts that are not what the manifest says.

        Raises:
            SmaltiError: so they are.
        """
        said = self.manifest
        if not self.parts or sum(part.images for part in self.parts) != said.images:
            raise SmaltiError(f"{self.folder}: does not hold the {said.images} images it names; encode them again.")
        for part in self.parts:
            own = part.manifest
            for name in ("codec_fingerprint", "classes", "views", "flips"):
                if getattr(own, name) != getattr(said, name):
                    told = name.replace("_", " ")
                    raise SmaltiError(f"{part.folder}: is of another {told} than is said beside it; encode again.")

    def image_of(self, rows: Int64[Tensor, " B"]) -> Int64[Tensor, " B"]:
        """Which image each row is of, rows counted through all parts; views and flipped copies of one share it."""
        images, begin, before = torch.zeros_like(rows), 0, 0
        for part in self.parts:
            own = (rows >= begin) & (rows < begin + len(part))
            images[own] = part.image_of(rows[own] - begin) + before
            begin, before = begin + len(part), before + part.images
        return images

    def of_classes(self, classes: Sequence[str]) -> "MixedLatents":
        """The same, with labels that index other names, among which all of theirs are."""
        return self if list(classes) == self.classes else MixedLatents(self.folder, self._resident, classes)

    def __len__(self) -> int:
        """Rows of all parts."""
        return sum(map(len, self.parts))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches of the size that most images have."""
        return self.parts[0].grid

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that most images have, in pixels."""
        return self.parts[0].size

    @property
    def images(self) -> int:
        """Images that were encoded, each counted once."""
        return self.manifest.images

    def codec(self) -> Codec:
        """The codec that made these latents and reads them.

        Raises:
            SmaltiError: it is missing, damaged, or not the one that made them.
        """
        return self.parts[0].codec()


AnyLatents = Latents | MixedLatents
"""Of one size, or of several; `parts` are of one each."""


def open_latents(
    folder: str | Path, resident: torch.device | str | None = None, classes: Sequence[str] | None = None
) -> AnyLatents:
    """Open a folder of latents of one size or of several; `resident` and `classes` are as with `Latents`.

    Raises:
        SmaltiError: as `Latents` does.
    """
    several = Path(folder).is_dir() and Manifest.read(Path(folder)).parts
    return MixedLatents(folder, resident, classes) if several else Latents(folder, resident, classes)
