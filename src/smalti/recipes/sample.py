"""`sample`: a model to pictures."""

from itertools import count as counted
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from smalti.devices import find_device
from smalti.errors import SmaltiError, require_at_least
from smalti.files import read_json, refuse_occupied, write_record
from smalti.locks import only_writer
from smalti.pipeline import SampleSettings, SmaltiPipeline
from smalti.progress import Progress, is_shown_live
from smalti.recipes.pixel_files import save_pixels
from smalti.records import differences, to_record
from smalti.report import grid
from smalti.schedulers import make_scheduler
from smalti.signals import Ended
from smalti.sizes import Size, height_width, told_size

_RECORD = "sample.json"
_SHOWN = 64
_COLUMNS = 8
_MAY_CHANGE = {"count", "batch_size"}  # when sampling goes on


def sample(
    model: str,
    out: Path,
    settings: SampleSettings = SampleSettings(),
    *,
    count: int = 64,
    label: str | None = None,
    size: Size | None = None,
    resume: bool = False,
    device: str | None = None,
) -> int:
    """Generate `count` pictures into a new folder, each written as it comes, with a grid of the first.

    They are of another `size` than those the model was trained on where one is given; what to expect then is said.
    Where it was trained on several, each picture has one of these, as often as they occurred. With
    `resume` those that are there already are kept, if the same was asked for; the count may be larger. Return how many
    are new.

    Raises:
        SmaltiError: there is no such model, class, scheduler or guide, `out` is taken, or what is there was begun
            otherwise.
    """
    require_at_least(1, count=count)
    begun = read_json(out / _RECORD) if resume else None
    if begun is None:
        if (out / _RECORD).is_file():
            raise SmaltiError(f"{out}: pictures were sampled there; go on with --resume, or name a new folder.")
        refuse_occupied(out)
    pipe = SmaltiPipeline.from_pretrained(model).to(find_device(device))
    if settings.scheduler is not None:
        pipe.scheduler = make_scheduler(settings.scheduler, pipe.process)
    asked = asked_of(model, pipe, settings, count=count, label=label, size=to_record(size))
    if begun:
        _require_same(begun, asked, out)
    # The batch that was cut off is made again: what the pictures of one batch are depends, by rounding, on all of it.
    there = _there(out) if begun else 0
    if there > count:
        raise SmaltiError(f"{out}: holds {there} pictures already; ask for as many or more, or name a new folder.")
    first = there if there == count else there // settings.batch_size * settings.batch_size
    pipe.set_progress_bar_config(leave=False, desc="steps", position=1, disable=not is_shown_live())
    sides = None if size is None else height_width(size)
    batches = pipe.stream(count, settings, labels=label, size=sides, numbers=range(first, count))
    print_of_size(pipe, sides)

    out.mkdir(parents=True, exist_ok=True)
    with only_writer(out):
        write_record(out / _RECORD, **asked)
        try:
            with Progress(total=count, initial=first, desc="sampling", unit="image") as bar:
                for number, pixels in zip(counted(first), (each for batch in batches for each in batch), strict=False):
                    save_pixels(out / _name(number), pixels, pipe.codec.pixel_format)
                    bar.update(1)
        except Ended as end:
            kept = f"{_there(out)} of {count} pictures are kept: go on with --resume"
            raise Ended(end.number, f"told to end; {kept}") from end
        shown = [_read(out / _name(number)) for number in range(min(count, _SHOWN))]
        grid(shown, columns=min(_COLUMNS, count)).save(out / "grid.png")
    return count - there


def asked_of(model: str, pipe: SmaltiPipeline, settings: SampleSettings, **more: Any) -> dict[str, Any]:
    """What is written beside pictures: all that they follow from."""
    refined = settings.refine and pipe.refiner is not None
    said = {**to_record(settings), "scheduler": type(pipe.scheduler).__name__, "refined": refined}
    return {"model": model, **weights_of(pipe, settings), "settings": {**more, **said}}


def weights_of(pipe: SmaltiPipeline, settings: SampleSettings) -> dict[str, str]:
    """Fingerprints of the weights that pictures follow from: those of the model, and of a guide.

    Raises:
        SmaltiError: the guide cannot be had.
    """
    of_guide = {}
    if settings.guide is not None:
        guide = SmaltiPipeline.from_pretrained(settings.guide)
        of_guide = {"guide_weights": guide.weights_fingerprint(refined=False)}
    return {"weights": pipe.weights_fingerprint(refined=settings.refine), **of_guide}


def print_of_size(pipe: SmaltiPipeline, size: tuple[int, int] | None) -> None:
    """Say what to expect of pictures of another size than the model was trained on."""
    if size not in (None, pipe.size, *pipe.sizes):
        print(
            f"note: the model was trained on pictures of {told_size(pipe.size)} pixels (height x width); things stay "
            f"as large as they are there, so that {told_size(size)} shows more of them, or parts of one"
        )


def _name(number: int) -> str:
    return f"{number:05d}.png"


def _there(out: Path) -> int:
    """How many pictures are there, without a gap."""
    return sum(1 for _ in takewhile(lambda number: (out / _name(number)).is_file(), counted()))


def _read(path: Path) -> UInt8[Tensor, "C H W"]:
    with Image.open(path) as image:
        return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1)


def _require_same(begun: dict[str, Any], asked: dict[str, Any], out: Path) -> None:
    """Refuse to go on with other settings, or another model or guide, than a folder was begun with.

    Raises:
        SmaltiError: so it is.
    """
    then = begun.get("settings", {})
    told = differences(then, asked["settings"], _MAY_CHANGE)
    told += [f"by a version without {name}" for name in asked["settings"] if name not in then]  # whose default is new
    if begun.get("weights") != asked["weights"]:
        told.append(f"{asked['model']} is another model now than {begun.get('model')} was")
    guided = asked.get("guide_weights")
    if begun.get("guide_weights", guided) != guided:
        told.append("the guide is another model now")
    if told:
        raise SmaltiError(f"{out}: was begun otherwise ({'; '.join(told)}); resume with the same.")
