"""What is made in the middle of photos, measured beside plain samples and the mean colour.

    python benchmarks/inpainting.py MODEL PHOTOS --features NETWORK.pt --out FOLDER [--jumps 0 1 2] [--count 256]

PHOTOS are others than MODEL was trained on. In the middle of each, half as high and half as wide, nothing is known, and
it is filled in, shown the photo's label where it has one. Both distances are to other photos of PHOTOS, as many. "Step"
is the mean absolute difference of grey levels across the border of the mask, beside that of the photos themselves.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import tyro
from jaxtyping import Bool, Integer
from torch import Tensor

from _table import finish
from smalti import FeatureNetwork, SampleSettings, SmaltiError, SmaltiPipeline, open_images
from smalti.devices import find_device
from smalti.metrics import Moments, frechet_distance_of, kernel_distance
from smalti.pipeline import Known, blended, touched
from smalti.records import to_record
from smalti.report import grid

_SHOWN = 16


def middle(height: int, width: int) -> Bool[Tensor, "H W"]:
    """A quarter of all pixels."""
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return mask


def step(pictures: Integer[Tensor, "B C H W"], mask: Bool[Tensor, "H W"]) -> float:
    """Mean absolute difference of neighbours of which one is masked and the other is not."""
    found = []
    for axis in (0, 1):
        border = mask.int().diff(dim=axis) != 0
        found.append(pictures.float().diff(dim=axis + 2).abs()[:, :, border].flatten())
    return float(torch.cat(found).mean())


def mean_colour(photos: Integer[Tensor, "B C H W"], mask: Bool[Tensor, "H W"]) -> Integer[Tensor, "B C H W"]:
    """Photos with the mean of what is known in the place of the rest."""
    mean = photos[:, :, ~mask].float().mean(2).round().to(photos.dtype)
    return torch.where(mask, mean[:, :, None, None], photos)


def filled(
    pipe: SmaltiPipeline,
    photos: Integer[Tensor, "B C H W"],
    mask: Bool[Tensor, "H W"],
    settings: SampleSettings,
    labels: list[int] | None,
    jumps: int,
) -> Iterator[Integer[Tensor, "B C H W"]]:
    """What the model makes of the middle, before it is blended."""
    known = Known(pipe.codec.encode(photos.to(pipe.device)), touched(mask, pipe.codec.spec.patch), jumps)
    return pipe.stream(len(photos), settings, known=known, labels=labels)


def main(
    model: Annotated[Path, tyro.conf.Positional],
    photos: Annotated[str, tyro.conf.Positional],
    /,
    *,
    features: Path,
    out: Path = Path("inpainting"),
    jumps: tuple[int, ...] = (0, 1, 2),
    count: int = 256,
    settings: SampleSettings = SampleSettings(),
) -> None:
    """Fill in, measure, and write a table, and a sheet a row.

    Args:
        model: a model folder.
        photos: those that it was not trained on.
        features: a TorchScript feature network.
        out: folder for the sheets.
        jumps: how often steps are gone back.
        count: photos that are filled in; as many others are compared with.
        settings: how pictures are sampled.
    """
    out.mkdir(parents=True, exist_ok=True)
    pipe = SmaltiPipeline.from_pretrained(model).to(find_device())
    pipe.set_progress_bar_config(disable=True)
    images = open_images(photos, size=pipe.size, mode=pipe.codec.pixel_format.mode)
    if len(images) < 2 * count:
        raise SmaltiError(f"{photos}: {len(images)} photos; give {2 * count}, or a smaller count.")
    taken, others = images.split(count)
    pictures = list(taken.pictures())
    known = torch.stack([picture.pixels for picture in pictures])
    labels = [picture.labels[0] if picture.labels else -1 for picture in pictures] if pipe.classes else None
    mask = middle(*pipe.size)
    network = FeatureNetwork(features, find_device())
    reference = network(others.sample(count), total=count, desc="reference")
    target = Moments.of(reference)

    def rows() -> Iterator[tuple[str, Tensor]]:
        yield "photos themselves", known
        yield "through the codec", pipe.decode(pipe.codec.encode(known.to(pipe.device))).cpu()
        yield "mean colour", mean_colour(known, mask)
        yield "plain samples", torch.cat(list(pipe.stream(count, settings, labels=labels)))
        for number in jumps:
            made = torch.cat(list(filled(pipe, known, mask, settings, labels, number)))
            yield f"filled in, jumps {number}, not blended", torch.where(mask, made, known)
            joined = blended(pipe.codec, made, known, mask)
            assert torch.equal(joined[:, :, ~mask], known[:, :, ~mask])
            yield f"filled in, jumps {number}", joined

    table: list[list[str]] = []
    for name, made in rows():
        grid(made[:_SHOWN], columns=_SHOWN // 2, scale=max(1, 96 // pipe.size[0])).save(
            out / f"{name.replace(', ', '-').replace(' ', '_')}.png"
        )
        found = network(iter(made), total=count, desc=name)
        frechet, kernel = frechet_distance_of(found, target), kernel_distance(found, reference).thousandfold
        table.append([name, str(frechet), str(kernel), f"{step(made, mask):.1f}"])
        print(table[-1], flush=True)
    headers = ["pictures", network.frechet_name, f"{network.kernel_name} x 1000", "step"]
    finish("inpainting", headers, table, size=pipe.size, count=count, settings=to_record(settings))


if __name__ == "__main__":
    tyro.cli(main)
