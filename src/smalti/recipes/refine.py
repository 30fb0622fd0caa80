"""`refine`: a refiner for a model."""

from pathlib import Path

from smalti.data import CropSettings, Images, Manifest, open_images
from smalti.devices import join_processes
from smalti.files import read_json
from smalti.metrics import FeatureNetwork
from smalti.model_folder import ModelFolder, Run
from smalti.pipeline import SmaltiPipeline
from smalti.pixels import PixelFormat
from smalti.recipes.few import without_held_out
from smalti.recipes.train import told_of_resumed
from smalti.sizes import Size, height_width
from smalti.training import RefinerSettings, TrackerName, most_photos, require_tracker, train_refiner


def refine(
    photos: str,
    model: Path,
    settings: RefinerSettings = RefinerSettings(),
    *,
    features: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    device: str | None = None,
    processes: int | None = None,
    log_with: TrackerName | None = None,
) -> Images:
    """Train the refiner of a model, and put it into the model's folder; return the photos that it was trained on.

    They are cropped as those were that the model was trained on. Without `processes`, in as many as is fastest here.
    The tracker `log_with` gets the losses.

    Raises:
        SmaltiError: model, photos or features cannot be had or do not suit each other, there is nothing to resume, or
            the tracker is not installed.
    """
    require_tracker(log_with)
    folder = ModelFolder.here(model)
    if resume:
        folder.refining.require_begun()
    state = join_processes(device)
    if resume:
        state.print(told_of_resumed(folder.refining, settings.pairs, "--pairs"))
    elif _is_unfinished(folder.refining):
        state.print(f"{folder.refining.folder}: an interrupted run is begun again; with --resume it would have gone on")
    seen = None if features is None else FeatureNetwork(features, state.device).differentiable
    manifest = Manifest.of_model(folder)
    crop, views = (manifest.crop, manifest.views) if manifest else (_centred(folder), 1)
    opened = open_images(photos, mode=crop.mode)  # which files are pictures depends on it
    seen_too = _without_held_out(opened, folder, manifest) if manifest else opened
    images = as_held(seen_too, crop, manifest.size if manifest else None)
    where = {"device": device, "processes": processes, "log_with": log_with}
    train_refiner(model, images.views(views), settings, features=seen, seed=seed, resume=resume, **where)
    return images


def as_held(images: Images, crop: CropSettings, size: Size | None = None) -> Images:
    """Images cropped as the model's were; of many, as many as are held in memory while a refiner is trained.

    `size` is that of the pictures, where the crop does not say it: photos that were all of one size need none.
    """
    size = crop.size or size
    assert size is not None
    return images.cropped(crop).sample(most_photos(height_width(size), PixelFormat.of_mode(crop.mode).planes))


def _is_unfinished(run: Run) -> bool:
    """Whether something was trained, and not to its end."""
    return bool(run.checkpoints) and run.trained < read_json(run.record)["training"]["images"]


def _without_held_out(images: Images, folder: ModelFolder, manifest: Manifest) -> Images:
    """The photos that the model was trained on, where these are all that `create` was given and some were held out."""
    held = read_json(folder.plan).get("held_out", 0) if folder.plan.is_file() else 0
    if not 0 < held < len(images):
        return images
    seen = without_held_out(images, held, manifest.crop.seed)[1]
    return seen if seen.cropped(manifest.crop).fingerprint == manifest.source_fingerprint else images


def _centred(folder: ModelFolder) -> CropSettings:
    """How photos are taken to have been cropped for a model that does not say so."""
    pipe = SmaltiPipeline.from_pretrained(folder.path)
    return CropSettings(size=pipe.size, mode=pipe.codec.pixel_format.mode)
