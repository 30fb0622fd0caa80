"""Options that several verbs share."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from smalti.codec import CodecSpec
from smalti.data import Images, open_images
from smalti.files import SmaltiError

Photos = Annotated[str, tyro.conf.Positional]


@dataclass(frozen=True, kw_only=True, slots=True)
class CropOptions:
    """How photos are read."""

    size: int | None = None
    """Side of the square that photos are cropped to, in pixels; without it they keep their own size."""
    crop: Literal["center", "random", "stretch"] = "center"
    """Which part of a photo: the largest square in its middle, a random one, or all of it, stretched."""
    strict: bool = False
    """Stop at a photo that cannot be read, instead of skipping it."""

    def open(self, photos: str, spec: CodecSpec, seed: int = 0) -> Images:
        """Open photos in the colours that a codec is for."""
        if spec.planes not in (1, 3):
            raise SmaltiError(f"{spec} is for {spec.planes} planes; photos have 1 (grey) or 3 (colour).")
        mode = "L" if spec.planes == 1 else "RGB"
        return open_images(photos, size=self.size, crop=self.crop, mode=mode, seed=seed, strict=self.strict)


def report_skipped(images: Images) -> None:
    """Count the photos that could not be read, and name the first few."""
    if images.skipped:
        named = "; ".join(f"{name} ({reason})" for name, reason in images.skipped[:5])
        more = f" and {len(images.skipped) - 5} more" if len(images.skipped) > 5 else ""
        print(f"skipped {len(images.skipped)} of {len(images)} images: {named}{more}")
