"""`create`: from a folder of photos to a generator."""

import shutil
from pathlib import Path

import numpy as np

from smalti.codec import Codec, CodecSpec
from smalti.data import AnyLatents, Images, open_images, open_latents
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.evaluation import Memorisation, TrainingPictures, codec_quality, decoded, find_copies
from smalti.files import read_json, write_record
from smalti.iterables import batched
from smalti.locks import only_writer, refuse_locked, unfinished
from smalti.model_folder import ModelFolder
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.create_page import Outcome, write_create_page
from smalti.recipes.few import (
    expected,
    held_out_count,
    held_views,
    told_of_guard,
    told_of_held_out,
    varied,
    views_of,
    without_held_out,
)
from smalti.recipes.fit import MOST_IMAGES
from smalti.recipes.photos import require_contrast, told_of_sizes, told_of_skipped
from smalti.recipes.plan import CreateSettings, Plan
from smalti.recipes.refine import as_held
from smalti.recipes.samples import samples, save_sample_grid
from smalti.recipes.train import told_of_resumed
from smalti.records import to_record
from smalti.report import COLUMNS, Pictures, sample_sheet
from smalti.signals import Ended
from smalti.sizes import told_size
from smalti.training import (
    HeldOutLoss,
    Origin,
    TrackerName,
    on_held_out,
    require_tracker,
    train_generator,
    train_refiner,
)

_MEASURED_IMAGES = 64
_SAMPLES = 64
_MOST_NAMED = 16  # classes, each over its rows
_DECODED = 64  # latents at a time


def create(
    photos: str | Path,
    out: str | Path,
    settings: CreateSettings = CreateSettings(),
    *,
    begin_with: str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
    log_with: TrackerName | None = None,
) -> SmaltiPipeline:
    """Fit a codec, encode the photos, train a generator and its refiner, and leave samples and a report beside them.

    With `begin_with` codec, process, network and first weights are those of another model. With `resume` an interrupted
    `create` goes on where it was, and one that is done is extended, where more minutes or images are asked for: the
    photos and settings must be the same. The tracker `log_with` gets the losses of both trainings, and sample grids.

    Raises:
        SmaltiError: the photos cannot be had, are too few or without any contrast, a setting is out of range, `out` is
            not empty, another process writes there, or the tracker is not installed.
    """
    require_tracker(log_with)
    folder = ModelFolder(out)
    refuse_locked(folder.path)
    if not resume:
        _refuse_begun(folder)  # before a lock is put there; and again with it, when nobody else can come
    with only_writer(folder.path):
        try:
            return _create(photos, folder, settings, begin_with, resume, device, log_with)
        except Ended as end:
            if end.kept is None and (folder.latents.is_dir() or folder.held_out.is_dir()):
                kept = "told to end; what is done is kept: go on with --resume"
                raise Ended(end.number, kept) from end
            raise


def _create(
    photos: str | Path,
    folder: ModelFolder,
    settings: CreateSettings,
    begin_with: str | Path | None,
    resume: bool,
    device: str | None,
    log_with: TrackerName | None,
) -> SmaltiPipeline:
    """Do it, as the one process that writes into the folder."""
    if resume:
        folder.generator.require_nothing_to_lose()
    else:
        _refuse_begun(folder)

    # The photos, the codec that was asked for or is going to be fitted, and the plan, where there is one.
    origin = None if begin_with is None else Origin.find(begin_with)
    chosen = settings.choose_codec(origin)
    plan = Plan.read(folder.plan, settings, origin) if folder.plan.exists() else None
    mode = (chosen.pixel_format if isinstance(chosen, Codec) else settings.pixel_format).mode
    images = open_images(photos, size=settings.size, mode=mode, seed=settings.seed, strict=settings.strict)
    if settings.keep_aspect:
        images = images.keeping_shapes((chosen.spec if isinstance(chosen, Codec) else chosen).patch)
    held = plan.held_out if plan else held_out_count(len(images), settings.held_out)
    unseen, seen = without_held_out(images, held, settings.seed)

    # Latents: made once. How the photos were cropped for them is written there.
    if resume and folder.latents.is_dir():
        latents = _begun_latents(folder, seen, chosen, settings)
    else:
        print(f"{images.source}: {images.told}")
        latents = _encode(seen, unseen, chosen, folder, settings, resume)
    held_latents = open_latents(folder.held_out) if folder.held_out.is_dir() else None
    watched = told_of_held_out(held_latents.images if held_latents else 0, len(images))
    if held_latents is None and HeldOutLoss.read(folder.generator.metrics).lowest:
        raise SmaltiError(
            f"{folder.held_out}: is gone, and the run was begun with it; copy it back, or name a new folder."
        )

    # The plan: what is trained, and for how long. Settled once, by the speed of this machine.
    if plan is None:
        plan = Plan.made(latents, settings, device, held_out=held, origin=origin)
        _say(watched)
        _say(plan.told(latents.images))
        _say(expected(latents.images, plan.training.images))
    elif not (held_latents and settings.guard and HeldOutLoss.read(folder.generator.metrics).rises):
        print(told_of_resumed(folder.generator, plan.training.images, "--images, --minutes"))
    plan.write(folder.plan)

    # The generator, then the refiner that finishes its pictures.
    on_model = save_sample_grid(folder.path, latents.classes)
    options = {"resume": resume, "device": device, "processes": plan.processes, "log_with": log_with}
    guarded = {"held_out": on_held_out(held_latents), "guard": settings.guard} if held_latents else {}
    more = {"origin": origin, "on_model": on_model, **guarded, **options}
    pipe = train_generator(latents, folder.path, plan.model, plan.training, **more)
    measured = HeldOutLoss.read(folder.generator.metrics)
    kept = read_json(folder.generator.record).get("weights_of")
    _say(told_of_guard(measured, folder.generator.trained, plan.training.images, settings.guard, kept))
    if plan.refiner is not None and pipe.refiner is None:
        print(f"training the refiner, which finishes its pictures, on {plan.refiner.pairs:,} pairs")
        cropped = as_held(seen, latents.manifest.crop).views(latents.manifest.views)
        pipe = train_refiner(folder.path, cropped, plan.refiner, seed=settings.seed, **options)

    # What came out.
    named = latents.classes if 1 < len(latents.classes) <= _MOST_NAMED else []
    row_each = COLUMNS * max(1, len(named))
    count = row_each * max(1, _SAMPLES // row_each)
    print(f"generating {count} pictures for {folder.samples.name} and the report")
    pictures = samples(pipe, count, seed=settings.seed, classes=latents.classes)
    sample_sheet(pictures, names=named).save(folder.samples)
    came = Outcome(
        quality=codec_quality(seen.sample(_MEASURED_IMAGES), pipe.codec),
        memorisation=_copies(folder, seen, held_latents, pipe, pictures),
        held_out=measured,
        images_trained=folder.generator.trained,
        photos="; ".join(filter(None, (images.told, watched))),
        pictures=pictures,
    )
    write_record(folder.figures, codec=str(pipe.codec.spec), **came.figures(latents), plan=to_record(plan))
    write_create_page(folder, latents, pipe, plan, came)
    print(f"{folder}: the model; {folder.report} and {folder.samples} show what came out")
    print(f"next: smalti sample {folder} --count 64 --out samples")
    return pipe


def _refuse_begun(folder: ModelFolder) -> None:
    """Refuse to begin where a run was begun, and clear latents that it had begun; say so.

    Raises:
        SmaltiError: it had come to whole latents or further, or another process is writing there.
    """
    latents = (folder.latents, folder.held_out)
    begun = [each for each in latents if unfinished(each) is not None]
    folder.refuse_begun(*(each / "manifest.json" for each in latents))
    for each in begun:
        print(f"{each}: what a run before this had not finished is cleared; --resume would have gone on with it")


def _begun_latents(
    folder: ModelFolder, images: Images, chosen: Codec | CodecSpec, settings: CreateSettings
) -> AnyLatents:
    """The latents that an interrupted run had finished, if they are what is asked for."""
    latents = open_latents(folder.latents)
    spec = chosen.spec if isinstance(chosen, Codec) else chosen
    if latents.manifest.codec != str(spec) or latents.manifest.crop.size != images.settings.size:
        begun = f"{latents.manifest.codec} at {told_size(latents.size)} pixels"
        raise SmaltiError(f"{folder}: was begun with {begun}; resume with the same.")
    if images.cropped(latents.manifest.crop).fingerprint != latents.manifest.source_fingerprint:
        begun = latents.manifest.source
        raise SmaltiError(
            f"{folder}: was begun with other photos (of {begun}, as that was) than {images.source} holds now; resume "
            "with those, or begin in a new folder."
        )
    if isinstance(chosen, Codec) and chosen.fingerprint != latents.manifest.codec_fingerprint:
        raise SmaltiError(f"{folder}: was begun with another codec of that kind; resume with the same.")
    asked = varied(images.settings, views_of(len(images), settings.augment), settings.augment)
    if latents.manifest.crop != asked:
        raise SmaltiError(f"{folder}: was begun with photos cropped otherwise, or by another --seed; resume as it was.")
    return latents


def _encode(
    images: Images,
    unseen: Images | None,
    chosen: Codec | CodecSpec,
    folder: ModelFolder,
    settings: CreateSettings,
    resume: bool,
) -> AnyLatents:
    """Fit the codec, unless it is fitted, say how fine pictures can get with it, and encode all photos.

    Those that are held out come first, so that they are there where the others are.
    """
    print(told_of_sizes(images, settings.keep_aspect))
    require_contrast(images)
    codec = chosen
    if not isinstance(codec, Codec):
        codec = Codec.fit(images.sample(MOST_IMAGES, settings.seed), str(chosen), seed=settings.seed)
    quality = codec_quality(images.sample(_MEASURED_IMAGES), codec)
    print(
        f"{codec.spec}: {codec.bits_per_pixel:g} bits a pixel (1:{codec.compression_ratio:g}); the codec keeps "
        f"{quality} of photos ({quality.verdict}); what is generated is hardly finer than that, before it is refined"
    )
    views = views_of(len(images), settings.augment)
    shutil.rmtree(folder.held_out, ignore_errors=True)  # of a run that was killed here
    if unseen is not None:
        cropped = unseen.cropped(varied(images.settings, views, augment=False))
        try:
            encode_images(cropped, codec, folder.held_out, views=held_views(views))
        except SmaltiError as error:
            if settings.strict:
                raise
            print(f"nothing is held out: {error}")
    cropped = images.cropped(varied(images.settings, views, settings.augment))
    latents = encode_images(cropped, codec, folder.latents, views=views, resume=resume)
    skipped = told_of_skipped(latents.manifest.skipped, len(images))
    if skipped:
        print(skipped)
    return latents


def _copies(
    folder: ModelFolder, seen: Images, held: AnyLatents | None, pipe: SmaltiPipeline, pictures: Pictures
) -> Memorisation | None:
    """What in the training pictures is nearest to samples; nothing for bands, of which none are pictures to look at."""
    if not isinstance(pipe.codec.pixel_format.mode, str):
        return None
    unseen = None
    if held is not None:
        parts = (np.array(rows) for rows in batched(range(len(held)), _DECODED))
        unseen = [picture for part in parts for picture in decoded(held, pipe.codec, part)]
    return find_copies(pictures, TrainingPictures(folder, pipe.codec, seen), unseen)


def _say(sentence: str) -> None:
    """Print it, if there is anything to say."""
    if sentence:
        print(sentence)
