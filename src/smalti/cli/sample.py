"""`smalti sample`: a model to pictures."""

from pathlib import Path
from typing import Annotated

import tyro

import smalti.recipes as recipes
from smalti.pipeline import SampleSettings
from smalti.sizes import Size


def sample(
    model: Annotated[str, tyro.conf.Positional],
    /,
    *,
    out: Path,
    count: int = 64,
    label: str | None = None,
    size: Size | None = None,
    resume: bool = False,
    settings: SampleSettings = SampleSettings(),
    device: str | None = None,
) -> Path:
    """Generate pictures with a trained model.

    Example: smalti sample model --count 64 --out samples

    Start here: --count, --label for one class, --seed for other pictures.

    Args:
        model: a model folder, or owner/name on the Hugging Face Hub.
        out: new folder for the pictures, a grid of them, and sample.json.
        count: how many.
        label: name or number of a class; without it any.
        size: of the pictures in pixels, height x width, as in 96x64; that which the model was trained on when left out.
        resume: keep the pictures that are there, up to the first that is missing, and make the others, or more with a
            larger count; what is left out is as it was.
        settings: how they are sampled.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    new = recipes.sample(model, out, settings, count=count, label=label, size=size, resume=resume, device=device)
    more = "" if new == count else f", {new} of them new"
    print(f"{out}: {count} pictures{more}, and the first of them in {out / 'grid.png'}")
    return out / "sample.json"
