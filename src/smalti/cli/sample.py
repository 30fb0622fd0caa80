"""`smalti sample`: a model to pictures."""

from pathlib import Path
from typing import Annotated

import torch
import tyro
from tqdm import tqdm

from smalti.devices import find_device
from smalti.files import SmaltiError, new_folder, record, refuse_occupied, require_at_least, write_json
from smalti.pipeline import SmaltiPipeline, Temperature
from smalti.report import grid, to_image
from smalti.schedulers import make_scheduler


def sample(
    model: Annotated[str, tyro.conf.Positional],
    /,
    *,
    out: Path,
    count: int = 64,
    label: str | None = None,
    guidance: float = 1.0,
    guide: str | None = None,
    temperature: Temperature = None,
    scheduler: str | None = None,
    steps: int = 50,
    refine: bool = True,
    seed: int = 0,
    batch_size: int = 64,
    device: str | None = None,
) -> None:
    """Generate pictures with a trained model.

    Args:
        model: a model folder, or owner/name on the Hugging Face Hub.
        out: new folder for the pictures, a grid of them, and sample.json.
        count: how many.
        label: name or number of a class; without it any.
        guidance: strength of guidance, towards the label or away from the guide; 1 is none.
        guide: a worse model of the same kind to be guided away from, such as one trained for a shorter time.
        temperature: of draws from a distribution over codewords, 0 for the likeliest, or "expectation"; for models that
            have such distributions.
        scheduler: ddpm, ddim, dpmsolver++, unipc, euler, heun or renoise; unmask, unmask-halton or unmask-random for a
            masked model; multinomial for a multinomial one; the model's own when left out.
        steps: steps of the scheduler.
        refine: let the refiner, if the model has one, finish the pictures.
        seed: picture i follows from seed and i, whatever the batch size.
        batch_size: pictures made at a time.
        device: cpu or cuda; the accelerator, if there is one, when left out.
    """
    refuse_occupied(out)
    require_at_least(1, count=count, steps=steps, batch_size=batch_size)
    pipe = SmaltiPipeline.from_pretrained(model).to(find_device(device))
    if scheduler is not None:
        pipe.scheduler = make_scheduler(scheduler, pipe.process)
    worse = None if guide is None else SmaltiPipeline.from_pretrained(guide).to(pipe.device)
    labels = None if label is None else [_class_index(label, pipe.classes)] * count
    pipe.set_progress_bar_config(leave=False, desc="steps", position=1)
    batches = []
    with tqdm(total=count, desc="sampling", unit="image") as bar:
        for pixels in pipe.stream(
            count,
            seed=seed,
            labels=labels,
            batch_size=batch_size,
            num_inference_steps=steps,
            guidance_scale=guidance,
            temperature=temperature,
            guide=worse,
            refine=refine,
        ):
            batches.append(pixels)
            bar.update(len(pixels))
    with new_folder(out) as aside:
        pictures = torch.cat(batches)
        for number, pixels in enumerate(pictures):
            to_image(pixels).save(aside / f"{number:05d}.png")
        grid(pictures[:64], columns=min(8, count)).save(aside / "grid.png")
        settings = {
            "count": count,
            "label": label,
            "guidance": guidance,
            "guide": guide,
            "temperature": temperature,
            "scheduler": type(pipe.scheduler).__name__,
            "steps": steps,
            "refined": refine and pipe.refiner is not None,
            "seed": seed,
        }
        write_json(aside / "sample.json", record(model=model, settings=settings))
    print(f"{out}: {count} pictures, and the first of them in {out / 'grid.png'}")


def _class_index(label: str, classes: list[str]) -> int:
    if label in classes:
        return classes.index(label)
    if label.isdigit() and int(label) < len(classes):
        return int(label)
    have = f"its classes are {', '.join(classes[:20])}" if classes else "it was trained without labels"
    raise SmaltiError(f"the model has no class '{label}': {have}.")
