"""`smalti edit`: a photo, and what a model makes of it."""

from pathlib import Path
from typing import Annotated

import tyro

import smalti.recipes as recipes
from smalti.pipeline import SampleSettings
from smalti.recipes import EditSettings
from smalti.sizes import Size


def edit(
    model: Annotated[str, tyro.conf.Positional],
    photo: Annotated[Path | None, tyro.conf.Positional] = None,
    /,
    *,
    out: Path,
    what: EditSettings = EditSettings(),
    label: str | None = None,
    size: Size | None = None,
    settings: SampleSettings = SampleSettings(),
    device: str | None = None,
) -> Path:
    """Fill in a photo, extend it, vary it, or lead over to another.

    Example: smalti edit model PHOTO --mask MASK --out filled

    Start here: --mask, --outpaint, --strength or --to; --count, and --seed for other pictures.

    Args:
        model: a model folder, or owner/name on the Hugging Face Hub.
        photo: the photo; one of another size than the model's pictures is cropped as the model's photos were.
        out: new folder for the pictures, photo and mask as they were taken, all side by side, and edit.json.
        what: what is done.
        label: name or number of a class; without it any.
        size: of the photo in pixels, height x width, as in 96x64; that which the model was trained on when left out.
        settings: how pictures are sampled.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    count = recipes.edit(model, photo, out, what, settings, label=label, size=size, device=device)
    print(f"{out}: {count} pictures, side by side in {out / 'grid.png'}")
    return out / "edit.json"
