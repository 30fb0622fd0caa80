"""Sample grids of a model while it trains, and when it is done."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Integer, UInt8
from PIL import Image
from torch import Tensor

from smalti.model_folder import ModelFolder
from smalti.pipeline import SampleSettings, SmaltiOutput, SmaltiPipeline
from smalti.progress import is_shown_live
from smalti.report import sample_sheet
from smalti.training.generator import OnModel

_PROGRESS_COUNT = 36
_PROGRESS_STEPS = 25


def samples(
    pipe: SmaltiPipeline, count: int, *, steps: int = 50, seed: int = 0, classes: Sequence[str] | None = None
) -> list[UInt8[Tensor, "_ _ _"]]:
    """`count` pictures to look at; with classes, as many of each as fit, class after class.

    These are those that the model was trained with, unless others are named.
    """
    pipe.set_progress_bar_config(disable=not is_shown_live(), desc=f"generating {count} pictures", leave=False)
    shown = pipe.classes if classes is None else classes
    labels = [shown[i * len(shown) // count] for i in range(count)] if shown else None
    return shown_pictures(pipe, pipe.stream(count, SampleSettings(steps=steps, seed=seed), labels=labels))


def shown_pictures(pipe: SmaltiPipeline, batches: Iterable[Integer[Tensor, "_ _ _ _"]]) -> list[UInt8[Tensor, "_ _ _"]]:
    """Pictures that a model streams, to look at."""
    made = list(batches)
    alike = made if pipe.sizes else [torch.cat(made)]  # bands are brightened together
    return [picture for batch in alike for picture in pipe.codec.pixel_format.shown(batch)]


def unrefined_and_refined(pipe: SmaltiPipeline, count: int, seed: int = 0) -> UInt8[Tensor, "B C H W"]:
    """`count` pictures as the codec decodes them, then the same refined."""
    made = cast(SmaltiOutput, pipe(count, generator=torch.Generator().manual_seed(seed), output_type="latent")).latents
    both = torch.cat([pipe.decode(made, refine=False), pipe.decode(made)]).cpu()
    return pipe.codec.pixel_format.shown(both)


def save_sample_grid(out: Path, classes: Sequence[str] | None = None) -> OnModel:
    """A callback for `train_generator` that writes and returns grids of samples, always from the same noise."""
    folder = ModelFolder(out)

    def save(image: int, pipe: SmaltiPipeline) -> Image.Image:
        path = folder.progress(image)
        path.parent.mkdir(exist_ok=True)
        picture = sample_sheet(samples(pipe, _PROGRESS_COUNT, steps=_PROGRESS_STEPS, classes=classes), columns=9)
        picture.save(path)
        return picture

    return save
