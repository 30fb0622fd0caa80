"""`smalti sample`: a model to pictures."""

from pathlib import Path
from typing import Annotated

import tyro

import smalti.recipes as recipes
from smalti.pipeline import SampleSettings


def sample(
    model: Annotated[str, tyro.conf.Positional],
    /,
    *,
    out: Path,
    count: int = 64,
    label: str | None = None,
    settings: SampleSettings = SampleSettings(),
    device: str | None = None,
) -> None:
    """Generate pictures with a trained model.

    Args:
        model: a model folder, or owner/name on the Hugging Face Hub.
        out: new folder for the pictures, a grid of them, and sample.json.
        count: how many.
        label: name or number of a class; without it any.
        settings: how they are sampled.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    recipes.sample(model, out, settings, count=count, label=label, device=device)
    print(f"{out}: {count} pictures, and the first of them in {out / 'grid.png'}")
