"""`refine`: a refiner for a model."""

from pathlib import Path

from smalti.data import CropSettings, Images, Manifest, open_images
from smalti.devices import join_processes
from smalti.metrics import FeatureNetwork
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline
from smalti.pixels import PixelFormat
from smalti.sizes import Size, height_width
from smalti.training import RefinerSettings, most_photos, train_refiner


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
) -> Images:
    """Train the refiner of a model, and put it into the model's folder; return the photos that it was trained on.

    They are cropped as those were that the model was trained on. Without `processes`, in as many as is fastest here.

    Raises:
        SmaltiError: model, photos or features cannot be had or do not suit each other, or there is nothing to resume.
    """
    folder = ModelFolder.here(model)
    if resume:
        folder.refining.require_begun()
    state = join_processes(device)
    seen = None if features is None else FeatureNetwork(features, state.device).differentiable
    manifest = Manifest.of_model(folder)
    crop, views = (manifest.crop, manifest.views) if manifest else (_centred(folder), 1)
    images = as_held(open_images(photos), crop, manifest.size if manifest else None)
    where = {"device": device, "processes": processes}
    train_refiner(model, images.views(views), settings, features=seen, seed=seed, resume=resume, **where)
    return images


def as_held(images: Images, crop: CropSettings, size: Size | None = None) -> Images:
    """Images cropped as the model's were; of many, as many as are held in memory while a refiner is trained.

    `size` is that of the pictures, where the crop does not say it: photos that were all of one size need none.
    """
    size = crop.size or size
    assert size is not None
    return images.cropped(crop).sample(most_photos(height_width(size), PixelFormat.of_mode(crop.mode).planes))


def _centred(folder: ModelFolder) -> CropSettings:
    """How photos are taken to have been cropped for a model that does not say so."""
    pipe = SmaltiPipeline.from_pretrained(folder.path)
    return CropSettings(size=pipe.size, mode=pipe.codec.pixel_format.mode)
