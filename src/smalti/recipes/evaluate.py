"""A model against reference photos: samples, figures with their floors, and a page that shows them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from smalti.data import CropSettings, Images, Manifest, open_images
from smalti.devices import find_device
from smalti.errors import SmaltiError
from smalti.evaluation import (
    FEWEST,
    SHOWN,
    Comparison,
    EvaluateSettings,
    Evaluation,
    TrainingPictures,
    codec_quality,
    find_copies,
    write_page,
)
from smalti.files import new_folder, refuse_occupied, write_record
from smalti.iterables import batched
from smalti.metrics import (
    FeatureNetwork,
    Moments,
    density_coverage,
    frechet_distance_of,
    kernel_distance,
    precision_recall,
)
from smalti.metrics.distribution import Features, OtherFeatures
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.sample import weights_of
from smalti.records import to_record
from smalti.sizes import height_width

_MEASURED_PHOTOS = 64
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
        features: a feature network, see `FeatureNetwork`.
        out: new folder.
        settings: how many, how.
        statistics: an `.npz` with `mu` and `sigma` to take the Fréchet distance to, instead of the photos' own.
        device: where to generate and measure.

    Raises:
        SmaltiError: a model, photos or network that cannot be had, too few photos, or `out` is not empty.
    """
    if features is None:
        raise SmaltiError(
            "no feature network: FID and KID compare what a network sees; give its file or folder by --features, "
            "such as inception-2015-12-05.pt."
        )
    refuse_occupied(Path(out))
    place = find_device(device)
    network = FeatureNetwork(features, place)
    given = None if statistics is None else Moments.load(statistics)
    folder, sampling = ModelFolder.find(model), settings.sampling
    pipe = SmaltiPipeline.from_pretrained(folder.path).to(place)
    if sampling.guidance != 1.0 and not pipe.classes and sampling.guide is None:
        raise SmaltiError("guidance needs labels or a guide, and the model was trained without; leave it at 1.")
    pipe.set_progress_bar_config(disable=True)
    generated = pipe.stream(settings.count, sampling, labels=_labels(settings.count, len(pipe.classes)))
    photos, warnings = _open_reference(reference, pipe, Manifest.of_model(folder))
    if len(photos) < FEWEST:
        raise SmaltiError(f"{reference}: {len(photos)} photos are too few to compare with; give {FEWEST} or more.")
    held, others = photos.split(min(settings.count, len(photos) // 2), sampling.seed)
    others = others.sample(settings.most_reference, sampling.seed)

    reference_features = network(others, total=len(others), desc="reference photos")
    moments = Moments.of(reference_features)
    target = given or moments
    if len(target.mu) != reference_features.shape[1]:
        raise SmaltiError(f"{statistics}: statistics of {len(target.mu)} features, and {network.file} gives others.")
    refined = sampling.refine and pipe.refiner is not None
    with TemporaryDirectory(prefix="smalti-") as scratch:
        most = pipe.codec.spec.planes * max(height * width for height, width in (pipe.size, *pipe.sizes))
        kept = _Kept(Path(scratch) / "samples.npy", settings.count, most)
        sets = [
            ("generated", settings.count, kept.added(generated)),
            ("other photos", len(held), iter(held)),
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
        found = Evaluation(
            comparisons=comparisons,
            quality=codec_quality(held.sample(_MEASURED_PHOTOS), pipe.codec),
            memorisation=find_copies(kept, TrainingPictures(folder, pipe.codec, others)),
            samples=[kept[number].clone() for number in range(min(SHOWN, len(kept)))],
            reference_photos=len(reference_features),
            statistics=None if statistics is None else str(statistics),
            feature_names=(network.frechet_name, network.kernel_name),
            warnings=warnings + _too_few(settings.count, reference_features),
        )
    with new_folder(out) as aside:
        moments.save(aside / "statistics.npz")
        weights = weights_of(pipe, sampling)
        write_record(aside / "evaluation.json", **_record(found, model, weights, reference, network, settings))
        write_page(found, str(model), str(reference), settings, folder.generator.metrics, aside / "report.html")
    return found


def _open_reference(reference: str | Path, pipe: SmaltiPipeline, training: Manifest | None) -> tuple[Images, list[str]]:
    """The photos, cropped as those the model was trained on, and what does not match."""
    warnings = []
    height, width = pipe.size
    mode = pipe.codec.pixel_format.mode
    if not isinstance(mode, str):
        raise SmaltiError(
            f"the model makes {pipe.codec.pixel_format}, and feature networks know photos of 8 bits; compare samples "
            "of it with measures of your own."
        )
    same = replace(training.crop, size=pipe.size, seed=0, colour=0.0) if training else None
    crop = same or CropSettings(size=pipe.size, mode=mode, sizes=tuple(pipe.sizes))
    if training is None:
        warnings.append(
            "How the model's photos were cropped is not known: the largest centred part of that shape is assumed."
        )
    trained_on = training is not None and Path(training.source).absolute() == Path(reference).absolute()
    if trained_on:
        warnings.append(
            "The reference photos are those that the model was trained on: it has seen what it is compared with, and "
            "would score best by copying. Photos of the same kind that it has not seen say more."
        )
    photos = open_images(reference)
    own = list(photos.cropped(replace(crop, size=None, sizes=())).sample(_LOOKED_AT))
    small = sum(_is_smaller(photo, crop) for photo in own)
    if small:
        warnings.append(
            f"{small} of {len(own)} reference photos looked at are smaller than the pictures of the model "
            f"({pipe.told_sizes} pixels) and were enlarged: their crops do not match."
        )
    if training and crop.crop == "center" and not crop.sizes and not trained_on:
        longer = [photo.shape[1] * width / (photo.shape[2] * height) for photo in own]
        if max(longer) > 2 or min(longer) < 1 / 2:
            warnings.append("Some reference photos are of quite another shape: little of them is compared.")
    return photos.cropped(crop), warnings


def _is_smaller(photo: UInt8[Tensor, "_ _ _"], crop: CropSettings) -> bool:
    """Whether a photo is smaller than what it is cropped to."""
    shape = (photo.shape[1], photo.shape[2])
    height, width = height_width(crop.of_shape(shape).size or shape)
    return shape[0] < height or shape[1] < width


def _labels(count: int, classes: int) -> list[int] | None:
    """With classes, as many samples of each."""
    return [number % classes for number in range(count)] if classes else None


class _Kept(Sequence[UInt8[Tensor, "_ _ _"]]):
    """Pictures of any sizes in a file, mapped into memory."""

    def __init__(self, file: Path, count: int, most: int):
        """Room for `count` pictures of `most` values each."""
        self._values = torch.from_numpy(np.lib.format.open_memmap(file, "w+", np.uint8, (count, most)))
        self._shapes: list[torch.Size] = []

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, number: int) -> UInt8[Tensor, "_ _ _"]:
        shape = self._shapes[number]
        return self._values[number, : shape.numel()].view(shape)

    def added(self, batches: Iterator[Tensor]) -> Iterator[UInt8[Tensor, "_ _ _"]]:
        """The pictures of batches one by one, added as they go by."""
        for picture in (picture for batch in batches for picture in batch):
            self._shapes.append(picture.shape)
            self[len(self) - 1].copy_(picture)
            yield picture


def _through(pipe: SmaltiPipeline, photos: Iterable[Tensor], settings: EvaluateSettings) -> Iterator[Tensor]:
    """Photos, encoded and decoded, and refined as the samples are."""
    for batch in batched(photos, settings.sampling.batch_size):
        for size in dict.fromkeys((photo.shape[1], photo.shape[2]) for photo in batch):
            alike = [photo for photo in batch if photo.shape[1:] == size]
            z = pipe.codec.encode(torch.stack(alike).to(pipe.device))
            yield from pipe.decode(z, size, refine=settings.sampling.refine).cpu()


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
    found: Evaluation,
    model: str | Path,
    weights: dict[str, str],
    reference: str | Path,
    network: FeatureNetwork,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    return {
        "model": str(model),
        **weights,
        "reference": {"photos": str(reference), "images": found.reference_photos, "statistics": found.statistics},
        "features": {"file": network.file, "frechet": network.frechet_name, "kernel": network.kernel_name},
        "settings": to_record(settings),
        "comparisons": [to_record(comparison) for comparison in found.comparisons],
        "codec_quality": found.quality.figures,
        "nearest_training": found.memorisation.figures,
        "warnings": found.warnings,
    }
