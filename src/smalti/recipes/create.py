"""`create`: from a folder of photos to a generator."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from smalti.codec import Codec, CodecSpec
from smalti.data import Images, Latents, encode_images, open_images
from smalti.errors import SmaltiError
from smalti.evaluation import codec_quality
from smalti.files import refuse_occupied, write_record
from smalti.locks import only_writer
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.create_page import write_create_page
from smalti.recipes.fit import MOST_IMAGES
from smalti.recipes.photos import require_contrast, told_of_skipped
from smalti.recipes.plan import FEW_IMAGES, CreateSettings, Plan
from smalti.recipes.refine import as_held
from smalti.recipes.samples import samples, save_sample_grid
from smalti.records import to_record
from smalti.report import grid
from smalti.sizes import height_width, told_size
from smalti.training import train_generator, train_refiner

_MOST_VIEWS = 8
_MEASURED_IMAGES = 64
_SAMPLES = 64


def create(
    photos: str | Path,
    out: str | Path,
    settings: CreateSettings = CreateSettings(),
    *,
    resume: bool = False,
    device: str | None = None,
) -> SmaltiPipeline:
    """Fit a codec, encode the photos, train a generator and its refiner, and leave samples and a report beside them.

    With `resume` an interrupted `create` goes on where it was: the photos and settings must be the same.

    Raises:
        SmaltiError: the photos cannot be had, are too few or without any contrast, a setting is out of range, `out` is
            not empty, or another process writes there.
    """
    folder = ModelFolder(out)
    if not resume:
        refuse_occupied(folder.path)  # before a lock is put there; and again with it, when nobody else can come
    with only_writer(folder.path):
        return _create(photos, folder, settings, resume, device)


def _create(
    photos: str | Path, folder: ModelFolder, settings: CreateSettings, resume: bool, device: str | None
) -> SmaltiPipeline:
    """Do it, as the one process that writes into the folder."""
    if resume:
        folder.generator.require_nothing_to_lose()
    else:
        refuse_occupied(folder.path)

    # The photos, and the codec that was asked for or is going to be fitted.
    chosen = settings.choose_codec()
    mode = (chosen.pixel_format if isinstance(chosen, Codec) else settings.pixel_format).mode
    images = open_images(photos, size=settings.size, mode=mode, seed=settings.seed, strict=settings.strict)

    # Latents: made once. How the photos were cropped for them is written there.
    if resume and folder.latents.is_dir():
        latents = _begun_latents(folder, images, chosen, settings)
    else:
        latents = _encode(images, chosen, folder, settings)

    # The plan: what is trained, and for how long. Settled once, by the speed of this machine.
    if folder.plan.exists():
        plan = Plan.read(folder.plan, settings)
    else:
        plan = Plan.made(latents, settings, device)
        plan.write(folder.plan)
        print(plan.told(len(latents)))

    # The generator, then the refiner that finishes its pictures.
    on_model = save_sample_grid(folder.path)
    options = {"resume": resume, "device": device, "processes": plan.processes}
    pipe = train_generator(latents, folder.path, plan.model, plan.training, on_model=on_model, **options)
    if plan.refiner is not None and pipe.refiner is None:
        cropped = as_held(images, latents.manifest.crop).views(latents.manifest.views)
        pipe = train_refiner(folder.path, cropped, plan.refiner, seed=settings.seed, **options)

    # What came out.
    pictures = samples(pipe, _SAMPLES, seed=settings.seed)
    grid(pictures, columns=8).save(folder.samples)
    quality = codec_quality(images.sample(_MEASURED_IMAGES), pipe.codec)
    figures = {"codec": str(pipe.codec.spec), "codec_quality": quality.figures, "plan": to_record(plan)}
    write_record(folder.figures, **figures)
    write_create_page(folder, latents, pipe, plan, quality, pictures)
    print(f"{folder}: the model; {folder.report} and {folder.samples} show what came out")
    print(f"next: smalti sample {folder} --count 64 --out samples")
    return pipe


def _begun_latents(folder: ModelFolder, images: Images, chosen: Codec | CodecSpec, settings: CreateSettings) -> Latents:
    """The latents that an interrupted run had finished, if they are what is asked for."""
    latents = Latents(folder.latents)
    spec = chosen.spec if isinstance(chosen, Codec) else chosen
    if latents.manifest.codec != str(spec) or latents.size != height_width(settings.size):
        begun = f"{latents.manifest.codec} at {told_size(latents.size)} pixels"
        raise SmaltiError(f"{folder}: was begun with {begun}; resume with the same.")
    if images.cropped(latents.manifest.crop).fingerprint != latents.manifest.source_fingerprint:
        begun = latents.manifest.source
        raise SmaltiError(
            f"{folder}: was begun with other photos (of {begun}, as that was) than {images.source} holds now; resume "
            "with those, or begin in a new folder."
        )
    return latents


def _encode(images: Images, chosen: Codec | CodecSpec, folder: ModelFolder, settings: CreateSettings) -> Latents:
    """Fit the codec, unless it is fitted, say how fine pictures can get with it, and encode all photos."""
    print(f"{images.source}: {images.told}")
    print(f"each is cropped to {told_size(settings.size)} pixels (height x width)")
    require_contrast(images)
    codec = chosen
    if not isinstance(codec, Codec):
        codec = Codec.fit(images.sample(MOST_IMAGES, settings.seed), str(chosen), seed=settings.seed)
    print(
        f"{codec.spec}: {codec.bits_per_pixel:g} bits a pixel (1:{codec.compression_ratio:g}); the codec keeps "
        f"{codec_quality(images.sample(_MEASURED_IMAGES), codec)} of photos - what is generated is hardly finer than "
        "that, before it is refined"
    )
    views = int(np.clip(FEW_IMAGES // max(len(images), 1), 1, _MOST_VIEWS))
    cropped = images.cropped(replace(images.settings, crop="random")) if views > 1 else images
    latents = encode_images(cropped, codec, folder.latents, views=views)
    skipped = told_of_skipped(latents.manifest.skipped, len(images))
    if skipped:
        print(skipped)
    return latents
