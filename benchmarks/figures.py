"""Figures 3, 7 and 9 of the paper, from real runs.

    python benchmarks/figures.py MODEL PHOTO --out FOLDER

- `ordinality.png` (Figure 3): PHOTO, its decoded codes, and what is decoded when 1 is added to every index, with the
  codewords in any order and sorted.
- `estimates.png` (Figure 7): what MODEL takes for the clean picture at t = 1000, 900 ... 0, a row a sample.
- `temperature.png` (Figure 9): samples of a categorical MODEL by argmax and at temperatures 0.1, 1 and 2.
- `refined.png`, ours: samples of a MODEL with a refiner, without it in the first row and with it in the second.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import tyro
from diffusers import DDPMScheduler
from torch import Tensor

from _study import shuffled
from smalti import Categorical, Codec, SampleSettings, SmaltiPipeline, open_images
from smalti.recipes import unrefined_and_refined
from smalti.report import Cell, grid, side_by_side

SPEC = "OPQ-32-8-8"
SHOWN = 12
TEMPERATURES = (0.0, 0.1, 1.0, 2.0)


def ordinality(photo: Tensor) -> list[list[Cell]]:
    """Rows of Figure 3, with a codec fitted on the photo itself."""
    codec = Codec.fit([photo], SPEC)
    cells = [Cell(photo, "photo")]
    for of, name in ((codec, "decoded"), (shuffled(codec), "index + 1, any order"), (codec, "index + 1, sorted")):
        z = of.encode(photo[None])
        if "+ 1" in name:
            limits = torch.tensor(of.spec.codewords)[:, None, None] - 1
            z = (z + 1).minimum(limits)
        cells.append(Cell(of.decode(z, (photo.shape[1], photo.shape[2]))[0], name))
    return [cells]


def estimates(pipe: SmaltiPipeline, count: int, steps: int, seed: int) -> Tensor:
    """Pictures of Figure 7, (count * 11, C, H, W), a sample after the other."""
    wanted = [round(time * (steps - 1) / 10) for time in range(11)]
    found: list[Tensor] = []

    def keep(pipe: SmaltiPipeline, step: int, time: int, tensors: dict[str, Tensor]) -> None:
        del step, time
        clean = tensors["pred_original_sample"]
        codes = clean.argmax(2) if clean.ndim == 5 else pipe.process.codes(clean)
        found.append(pipe.codec.decode(codes, pipe.size))

    evenly = 1.0 if isinstance(pipe.scheduler, DDPMScheduler) else None
    drawn = torch.Generator().manual_seed(seed)
    told: Any = {"callback_on_step_end": keep, "callback_on_step_end_tensor_inputs": ["pred_original_sample"]}
    pipe(count, num_inference_steps=steps, generator=drawn, spacing=evenly, **told)
    return torch.stack([found[step] for step in wanted], dim=1).flatten(0, 1)


def figures(
    model: str, photo: Path, /, *, out: Path = Path("figures"), count: int = 4, steps: int = 250, seed: int = 0
) -> None:
    """Draw the figures.

    Args:
        model: a model folder.
        photo: any photo.
        out: folder for the PNG files.
        count: samples of Figures 7, and rows of 8 of Figure 9.
        steps: of the scheduler.
        seed: of the samples.
    """
    out.mkdir(parents=True, exist_ok=True)
    side_by_side(ordinality(next(iter(open_images(photo))))).save(out / "ordinality.png")
    pipe = SmaltiPipeline.from_pretrained(model)
    scale = max(1, 128 // pipe.size[0])
    grid(estimates(pipe, count, steps, seed), columns=11, scale=scale).save(out / "estimates.png")
    if isinstance(pipe.process, Categorical):
        drawn = SampleSettings(scheduler="ddpm", steps=steps, refine=False, seed=seed)
        rows = [
            torch.cat(list(pipe.stream(8, replace(drawn, temperature=temperature)))) for temperature in TEMPERATURES
        ]
        grid(torch.cat(rows), columns=8, scale=scale).save(out / "temperature.png")
    if pipe.refiner is not None:
        grid(unrefined_and_refined(pipe, SHOWN, seed), columns=SHOWN, scale=scale).save(out / "refined.png")
    print(f"{out}: {', '.join(sorted(path.name for path in out.glob('*.png')))}")


if __name__ == "__main__":
    tyro.cli(figures)
