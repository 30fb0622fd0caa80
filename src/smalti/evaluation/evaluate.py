"""A model against reference photos: samples, figures with their floors, and a page that shows them."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from smalti.data import Images, open_images, trained_on
from smalti.devices import find_device
from smalti.evaluation.floor import codec_floor
from smalti.evaluation.memorisation import TrainingPictures, find_copies
from smalti.evaluation.page import write_page
from smalti.evaluation.results import FEWEST, SHOWN, Comparison, EvaluateSettings, Evaluation
from smalti.files import SmaltiError, new_folder, record, refuse_occupied, write_json
from smalti.metrics import (
    FeatureNetwork,
    Moments,
    density_coverage,
    frechet_distance_of,
    kernel_distance,
    precision_recall,
)
from smalti.metrics.distribution import Features, OtherFeatures
from smalti.pipeline import SmaltiPipeline, model_folder
from smalti.schedulers import make_scheduler

_FLOOR_PHOTOS = 64
_FEW = 10_000  # samples that published figures of this kind are at least taken with
_LOOKED_AT = 32  # photos whose own size is compared with that of the model


def evaluate(
    model: str | Path,
    reference: str | Path,
    features: str | Path | None,
    out: str | Path,
    settings: EvaluateSettings = EvaluateSettings(),
    *,
    statistics: Path | None = None,
    device: str | None = None,
) -> Evaluation:
    """Measure a model against reference photos; write `report.html`, `evaluation.json`, `statistics.npz` into `out`.

    Some photos are held out of the reference, as many as there are samples or half of all: against the same reference
    they show what a perfect generator would score with so many pictures, and, encoded and decoded, what the codec
    leaves of that.

    Args:
        model: a model folder, or owner/name on the Hub.
        reference: photos, as `open_images` takes them; cropped as the model's training photos were.
        features: a TorchScript feature network, see `FeatureNetwork`.
        out: new folder.
        settings: how many, how.
        statistics: an `.npz` with `mu` and `sigma` to take the Fréchet distance to, instead of the photos' own.
        device: where to generate and measure.

    Raises:
        SmaltiError: a model, photos or network that cannot be had, too few photos, or `out` is not empty.
    """
    if features is None:
        raise SmaltiError(
            "no feature network: FID and KID compare what a network sees; give its TorchScript file by --features, "
            "such as inception-2015-12-05.pt."
        )
    refuse_occupied(Path(out))
    place = find_device(device)
    network = FeatureNetwork(features, place)
    given = None if statistics is None else Moments.load(statistics)
    folder = model_folder(model)
    pipe = SmaltiPipeline.from_pretrained(folder).to(place)
    if settings.scheduler is not None:
        pipe.scheduler = make_scheduler(settings.scheduler, pipe.process)
    if settings.guidance != 1.0 and not pipe.classes:
        raise SmaltiError("guidance needs labels, and the model was trained without; leave the guidance at 1.")
    training = trained_on(folder)
    photos, warnings = _open_reference(reference, pipe, training)
    if len(photos) < FEWEST:
        raise SmaltiError(f"{reference}: {len(photos)} photos are too few to compare with; give {FEWEST} or more.")
    held, others = photos.split(min(settings.count, len(photos) // 2), settings.seed)
    others = others.sample(settings.most_reference, settings.seed)

    reference_features = network(others, total=len(others), desc="reference photos")
    moments = Moments.of(reference_features)
    target = given or moments
    if len(target.mu) != reference_features.shape[1]:
        raise SmaltiError(f"{statistics}: statistics of {len(target.mu)} features, and {network.file} gives others.")
    refined = settings.refine and pipe.refiner is not None
    with TemporaryDirectory(prefix="smalti-") as scratch:
        shape = (settings.count, pipe.codec.spec.planes, *pipe.size)
        kept = np.lib.format.open_memmap(Path(scratch) / "samples.npy", mode="w+", dtype=np.uint8, shape=shape)
        sets = [
            ("generated", settings.count, _kept(_generate(pipe, settings), kept)),
            ("photos held out", len(held), iter(held)),
            (
                "the same, through " + ("codec and refiner" if refined else "the codec"),
                len(held),
                _through(pipe, held, settings),
            ),
        ]
        comparisons = [
            _compare(name, network(pictures, total=total, desc=name), target, reference_features)
            for name, total, pictures in sets
        ]
        samples = torch.from_numpy(kept)
        found = Evaluation(
            comparisons=comparisons,
            floor=codec_floor(held.sample(_FLOOR_PHOTOS), pipe.codec),
            memorisation=find_copies(samples, TrainingPictures(folder, pipe.codec, others)),
            samples=samples[:SHOWN].clone(),
            reference_photos=len(reference_features),
            statistics=None if statistics is None else str(statistics),
            feature_names=(network.frechet_name, network.kernel_name),
            warnings=warnings + _too_few(settings.count, reference_features),
        )
    with new_folder(out) as aside:
        moments.save(aside / "statistics.npz")
        write_json(aside / "evaluation.json", _record(found, model, reference, network, settings))
        write_page(found, str(model), str(reference), settings, folder / "metrics.jsonl", aside / "report.html")
    return found


def _open_reference(
    reference: str | Path, pipe: SmaltiPipeline, training: dict[str, Any] | None
) -> tuple[Images, list[str]]:
    """The photos, cropped as those the model was trained on, and what does not match."""
    warnings = []
    height, width = pipe.size
    if height != width:
        raise SmaltiError(f"the model makes pictures of {width}x{height} pixels; only square ones can be evaluated.")
    crop = training["crop"]["crop"] if training else "center"
    mode = "L" if pipe.codec.spec.planes == 1 else "RGB"
    if training is None:
        warnings.append("How the model's photos were cropped is not known: the largest centred square is assumed.")
    own = list(open_images(reference, mode=mode).sample(_LOOKED_AT))
    small = sum(min(photo.shape[1:]) < height for photo in own)
    if small:
        warnings.append(
            f"{small} of {len(own)} reference photos looked at are smaller than the pictures of the model "
            f"({width}x{height} pixels) and were enlarged: their crops do not match."
        )
    if training and crop == "center" and training["source"] != str(reference):
        shapes = {photo.shape[1:] for photo in own}
        if any(max(shape) > 2 * min(shape) for shape in shapes):
            warnings.append("Some reference photos are more than twice as long as wide: little of them is compared.")
    return open_images(reference, size=height, crop=crop, mode=mode), warnings


def _generate(pipe: SmaltiPipeline, settings: EvaluateSettings) -> Iterator[UInt8[Tensor, "C H W"]]:
    """Samples one by one; with classes, as many of each."""
    pipe.set_progress_bar_config(disable=True)
    labels = [number % len(pipe.classes) for number in range(settings.count)] if pipe.classes else None
    for batch in pipe.stream(
        settings.count,
        seed=settings.seed,
        labels=labels,
        batch_size=settings.batch_size,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        temperature=settings.temperature,
        refine=settings.refine,
    ):
        yield from batch


def _kept(pictures: Iterator[Tensor], kept: np.ndarray) -> Iterator[Tensor]:
    """The pictures, written into `kept` as they go by."""
    for number, picture in enumerate(pictures):
        kept[number] = picture.numpy()
        yield picture


def _through(pipe: SmaltiPipeline, photos: Iterable[Tensor], settings: EvaluateSettings) -> Iterator[Tensor]:
    """Photos, encoded and decoded, and refined as the samples are."""
    waiting: list[Tensor] = []
    for photo in photos:
        waiting.append(photo)
        if len(waiting) == settings.batch_size:
            yield from _decoded(pipe, waiting, settings.refine)
            waiting = []
    if waiting:
        yield from _decoded(pipe, waiting, settings.refine)


def _decoded(pipe: SmaltiPipeline, photos: list[Tensor], refine: bool) -> UInt8[Tensor, "B C H W"]:
    return pipe.decode(pipe.codec.encode(torch.stack(photos).to(pipe.device)), refine=refine).cpu()


def _compare(name: str, found: Features, target: Moments, reference: OtherFeatures) -> Comparison:
    precision, recall = precision_recall(found, reference)
    density, coverage = density_coverage(found, reference)
    return Comparison(
        name,
        len(found),
        frechet_distance_of(found, target),
        kernel_distance(found, reference),
        precision,
        recall,
        density,
        coverage,
    )


def _too_few(count: int, reference: Features) -> list[str]:
    warnings = []
    if count < _FEW:
        warnings.append(
            f"{count:,} samples are few: the Fréchet distance is too high by an amount that depends on their number. "
            "Compare it with figures of as many samples only; the kernel distance has no such bias."
        )
    if min(count, len(reference)) <= reference.shape[1]:
        warnings.append(
            f"With no more pictures than the {reference.shape[1]} features, a covariance is singular: trust the kernel "
            "distance, not the Fréchet distance."
        )
    return warnings


def _record(
    found: Evaluation, model: str | Path, reference: str | Path, network: FeatureNetwork, settings: EvaluateSettings
) -> dict[str, Any]:
    return record(
        model=str(model),
        reference={"photos": str(reference), "images": found.reference_photos, "statistics": found.statistics},
        features={"file": network.file, "frechet": network.frechet_name, "kernel": network.kernel_name},
        settings=asdict(settings),
        comparisons=[asdict(comparison) for comparison in found.comparisons],
        codec_floor=found.floor.figures,
        nearest_training=found.memorisation.figures,
        warnings=found.warnings,
    )
