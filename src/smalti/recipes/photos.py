"""Photos as recipes take them: how they are opened, and what is said of those that cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass

from smalti.data import Crop, Images, open_images
from smalti.errors import SmaltiError
from smalti.pixels import PixelFormat
from smalti.sizes import Size, told_size


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoSettings:
    """How photos are read."""

    size: Size | None = None
    """What photos are cropped to in pixels: a number for a square, or height x width, as in 96x64; without it they keep
    their own size."""
    crop: Crop = "center"
    """Which part of a photo: the largest of that shape in its middle, a random one, or all of it, stretched."""
    strict: bool = False
    """Stop at a photo that cannot be read, instead of skipping it."""

    def open(self, photos: str, pixel_format: PixelFormat, seed: int = 0) -> Images:
        """Open photos in the colours that a codec is for.

        Raises:
            SmaltiError: there are none, or it is for pixels that photos do not have.
        """
        mode = pixel_format.mode
        return open_images(photos, size=self.size, crop=self.crop, mode=mode, seed=seed, strict=self.strict)


def require_contrast(images: Images) -> None:
    """Refuse photos that are all of one colour each: a codec and a generator of them would seem to be very good.

    Some that are, among others, are as good as any.

    Raises:
        SmaltiError: so they are, or none can be read.
    """
    if all((pixels.flatten(1) == pixels[:, :1, 0]).all() for pixels in images):
        raise SmaltiError(
            f"{images.source}: not one of {len(images)} images has any contrast, each is of one colour throughout; "
            "name others."
        )


def told_of_sizes(images: Images, keep_aspect: bool = False) -> str:
    """What images are cropped to, in words: of several sizes how many are of each."""
    settings = images.settings
    if settings.sizes:
        counts = ", ".join(f"{told_size(size)} {len(some):,}" for size, some in images.by_size().items())
        return f"each is cropped to the nearest of {len(settings.sizes)} sizes in pixels (height x width): {counts}"
    assert settings.size is not None
    alike = "all have about one shape: " if keep_aspect else ""
    return f"{alike}each is cropped to {told_size(settings.size)} pixels (height x width)"


def told_of_skipped(skipped: Sequence[Sequence[str]], total: int) -> str:
    """How many photos could not be read, and the names of the first few; nothing where all could."""
    if not skipped:
        return ""
    named = "; ".join(f"{name} ({reason})" for name, reason in skipped[:5])
    more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return f"skipped {len(skipped)} of {total} images: {named}{more}"
