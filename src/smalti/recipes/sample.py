"""`sample`: a model to pictures."""

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from smalti.devices import find_device
from smalti.errors import SmaltiError, require_at_least
from smalti.files import new_folder, record, refuse_occupied, write_json
from smalti.pipeline import SampleSettings, SmaltiPipeline
from smalti.pixels import to_image
from smalti.records import to_record
from smalti.report import grid
from smalti.schedulers import make_scheduler

_SHOWN = 64
_COLUMNS = 8


def sample(
    model: str,
    out: Path,
    settings: SampleSettings = SampleSettings(),
    *,
    count: int = 64,
    label: str | None = None,
    device: str | None = None,
) -> None:
    """Generate `count` pictures into a new folder, each written as it comes, with a grid of the first.

    Raises:
        SmaltiError: there is no such model, class, scheduler or guide, or `out` is taken.
    """
    refuse_occupied(out)
    require_at_least(1, count=count)
    pipe = SmaltiPipeline.from_pretrained(model).to(find_device(device))
    if settings.scheduler is not None:
        pipe.scheduler = make_scheduler(settings.scheduler, pipe.process)
    labels = None if label is None else [_class_index(label, pipe.classes)] * count
    pipe.set_progress_bar_config(leave=False, desc="steps", position=1)
    shown: list[Tensor] = []
    written = 0
    with new_folder(out) as aside, tqdm(total=count, desc="sampling", unit="image") as bar:
        for batch in pipe.stream(count, settings, labels=labels):
            for pixels in batch:
                to_image(pixels).save(aside / f"{written:05d}.png")
                written += 1
            shown.extend(batch[: _SHOWN - len(shown)])
            bar.update(len(batch))
        grid(torch.stack(shown), columns=min(_COLUMNS, count)).save(aside / "grid.png")
        refined = settings.refine and pipe.refiner is not None
        asked = {**to_record(settings), "scheduler": type(pipe.scheduler).__name__, "refined": refined}
        write_json(aside / "sample.json", record(model=model, settings={"count": count, "label": label, **asked}))


def _class_index(label: str, classes: list[str]) -> int:
    if label in classes:
        return classes.index(label)
    if label.isascii() and label.isdigit() and int(label) < len(classes):
        return int(label)
    have = f"its classes are {', '.join(classes[:20])}" if classes else "it was trained without labels"
    raise SmaltiError(f"the model has no class '{label}': {have}.")
