"""Few photos: which are held out, how they are varied, and what usually comes of so many (docs/few_photos.md)."""

from dataclasses import replace

import numpy as np

from smalti.data import CropSettings, Images
from smalti.errors import SmaltiError
from smalti.training import HeldOutLoss

FEW_IMAGES = 5_000
"""Below this, photos are cropped in several ways, some are held out, and a small network is trained with dropout."""

_FEWEST_TO_HOLD = 20  # of fewer photos each one matters more than what it would tell
_LEAST_HELD, _MOST_HELD, _SHARE_HELD = 4, 100, 0.1
_MOST_VIEWS, _MOST_VIEWS_AUGMENTED = 8, 32
_COLOUR = 0.1
_HELD_VIEWS = 2
_ENOUGH_TO_SEE = 20_000


def held_out_count(photos: int, asked: int | None) -> int:
    """How many of some photos are held out: a tenth of few, 4 to 100 of them; none of fewer than 20, or of many.

    Raises:
        SmaltiError: more are asked for than there are to spare.
    """
    if asked is not None:
        if asked >= photos:
            raise SmaltiError(f"{asked} photos to hold out of {photos} leave none to train on; hold out fewer.")
        return asked
    if not _FEWEST_TO_HOLD <= photos < FEW_IMAGES:
        return 0
    return int(np.clip(round(_SHARE_HELD * photos), _LEAST_HELD, _MOST_HELD))


def without_held_out(images: Images, held: int, seed: int) -> tuple[Images | None, Images]:
    """The photos that are held out, as many as that, and those to train on."""
    return images.split(held, seed) if held else (None, images)


def told_of_held_out(held: int, photos: int) -> str:
    """What is held out and what for, or why nothing is, in a sentence."""
    if held:
        return (
            f"{held} of {photos:,} photos are held out of training: the loss on them tells from when on the others are "
            "learned by heart"
        )
    if photos >= FEW_IMAGES:
        return ""
    return f"no photos are held out of {photos}, so nothing tells when they are learned by heart"


def told_of_guard(measured: HeldOutLoss, trained: int, planned: int, guard: bool, kept: int | None = None) -> str:
    """What the photos that were held out have told, and which weights are kept for that; nothing where there are none.

    The run was trained on some images of those that were planned; `kept` is the image whose weights are kept.
    """
    if measured.lowest is None:
        return ""
    if guard and trained < planned:
        return (
            f"ended after {trained:,} of {planned:,} images: {measured.told}; the weights of then are kept, and "
            "--resume --no-guard goes on all the same"
        )
    if measured.lowest[0] == measured.images[-1]:
        return measured.told
    if not guard:
        return f"{measured.told}; those of the end are kept, since there is no guard"
    if kept not in (None, measured.lowest[0]):
        return f"{measured.told}; those of image {kept:,} are kept, since there was no guard at its lowest"
    return f"{measured.told}; the weights of then are kept"


def views_of(photos: int, augment: bool) -> int:
    """How many crops of each photo are encoded, mirrored besides: the more, the fewer photos there are."""
    most = _MOST_VIEWS_AUGMENTED if augment else _MOST_VIEWS
    fill = FEW_IMAGES // max(photos, 1)
    return int(np.clip(2 * fill if augment else fill, 1, most))


def varied(settings: CropSettings, views: int, augment: bool) -> CropSettings:
    """How photos of several views are cropped and coloured."""
    crop = replace(settings, crop="random") if views > 1 else settings
    return replace(crop, colour=_COLOUR) if augment else crop


def held_views(views: int) -> int:
    """How many crops of each photo that is held out are encoded, of as many of the others."""
    return min(views, _HELD_VIEWS)


def expected(photos: int, images: int) -> str:
    """What usually comes of so many photos, seen so often, in a sentence; nothing where there is nothing to warn of."""
    if photos == 1:
        return "of a single photo nothing can come but that photo again, cropped otherwise: this makes no generator"
    if images < _ENOUGH_TO_SEE:
        return (
            f"{images:,} images are few: below about {_ENOUGH_TO_SEE:,} what comes out is patches of the right "
            "colours, and hardly a thing; give it more minutes (docs/few_photos.md shows what so many give)"
        )
    return ""
