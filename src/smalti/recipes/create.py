"""`create`: from a folder of photos to a generator."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from smalti.codec import Codec, CodecSpec, bundled_codecs
from smalti.data import Images, Latents, encode_images, open_images
from smalti.evaluation import codec_floor
from smalti.files import SmaltiError, read_json, record, refuse_occupied, write_json
from smalti.pipeline import SmaltiPipeline
from smalti.recipes.samples import samples, save_sample_grid, unrefined_and_refined
from smalti.report import Page, Tile, grid, sample_sheet, side_by_side, training_curve
from smalti.training import GeneratorSettings, RefinerSettings, TrainSettings, train_generator, train_refiner
from smalti.training.refiner import RUN, refining_photos
from smalti.training.state import checkpoints
from smalti.training.timing import refining_speed, training_speed

_FIT_IMAGES = 5_000  # a codec sees 150,000 patches; more photos than this do not make it better
_FEW_IMAGES = 5_000  # below this, photos are cropped in several ways
_MOST_VIEWS = 8
_FLOOR_IMAGES = 64
_SMALL_SIZE = 128  # from here on patches of 8 leave a grid that is large enough
_WIDTHS = (64, 96, 128, 192)
_ENOUGH_IMAGES = 400_000  # a wider network has to be able to see so many in the time
_FEW_DROPOUT = 0.1
_REFINING = 0.15  # share of the time that the refiner is trained for
_MOST_PAIRS = 200_000  # beyond that, the time is the generator's
_SAMPLES = 64
_FEW_SHOWN = 8
_MAY_CHANGE = {"minutes", "checkpoint_every", "strict"}  # when a run is resumed


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateSettings:
    """What `create` can be told."""

    size: int = 64
    """Side of the pictures in pixels; photos are cropped to their largest centred square and resized."""
    minutes: float = 20.0
    """Minutes to train for, roughly; the number of images follows from the speed measured here."""
    images: int | None = None
    """Images to train on, counted with repetition, instead of --minutes."""
    batch_size: int = 64
    """Images a training step."""
    width: int | None = None
    """Channels of the network's finest level; by default as many as the minutes allow, and 64 given --images."""
    codec: str | None = None
    """The codec to fit, such as RQ-32-8-8; or one that is fitted: a name (photo-high) or a folder. By default
    OPQ-32-8-8, with patches of 4 pixels below a size of 128 and of 8 from there on."""
    refine: bool = True
    """Whether to train a refiner as well, which finishes the pictures; --no-refine does without."""
    grey: bool = False
    """Grey pictures instead of colour."""
    checkpoint_every: int | None = None
    """Images between checkpoints and sample grids; ten in a run by default."""
    strict: bool = False
    """Stop at a photo that cannot be read, instead of skipping it."""
    seed: int = 0
    """Same photos, settings, seed and --images: same model, on one machine."""

    def __post_init__(self) -> None:
        """Refuse what cannot be created.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        for name in ("minutes", "images", "batch_size", "width", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SmaltiError(f"{name.replace('_', ' ')} is {value}; it must be more than 0.")
        if self.width is not None:
            GeneratorSettings(width=self.width)  # refuses what no network can have


def create(
    photos: str | Path,
    out: str | Path,
    settings: CreateSettings = CreateSettings(),
    *,
    resume: bool = False,
    device: str | None = None,
) -> SmaltiPipeline:
    """Fit a codec, encode the photos, train a generator, and leave samples and a report beside it.

    With `resume` an interrupted `create` goes on where it was: the photos and settings must be the same.

    Raises:
        SmaltiError: the photos cannot be had or are too few, a setting is out of range, or `out` is not empty.
    """
    out = Path(out)
    if not resume:
        refuse_occupied(out)
    given = _fitted_codec(settings)
    spec = given.spec if given else _choose_codec(settings)
    if spec.planes != (1 if settings.grey else 3):
        raise SmaltiError(
            f"{spec} has {spec.planes} planes; {'grey' if settings.grey else 'colour'} pictures need another codec."
        )
    images = _open(photos, settings, "center")
    latents = _latents(images, photos, out, given or spec, settings, resume)
    plan = _plan(latents, out, settings, device)
    model, training = GeneratorSettings(**plan["model"]), TrainSettings(**plan["training"])
    began = resume and (out / "train.json").exists()
    pipe = train_generator(latents, out, model, training, resume=began, device=device, on_model=save_sample_grid(out))
    if plan["refiner"] and pipe.refiner is None:
        cropped = refining_photos(photos, latents.manifest).views(latents.manifest["views"])
        refiner = RefinerSettings(**plan["refiner"])
        began = bool(checkpoints(out / RUN))
        pipe = train_refiner(out, cropped, refiner, seed=settings.seed, resume=began, device=device)
    pictures = samples(pipe, _SAMPLES, seed=settings.seed)
    grid(pictures, columns=8).save(out / "samples.png")
    _write_report(images, latents, pipe, plan, pictures, out)
    print(f"{out}: the model; {out / 'report.html'} and {out / 'samples.png'} show what came out")
    print(f"next: smalti sample {out} --count 64 --out samples")
    return pipe


def _fitted_codec(settings: CreateSettings) -> Codec | None:
    """The codec that was asked for, if it need not be fitted."""
    if settings.codec is None or not (Path(settings.codec).is_dir() or settings.codec in bundled_codecs()):
        return None
    return Codec.from_pretrained(settings.codec)


def _choose_codec(settings: CreateSettings) -> CodecSpec:
    if settings.codec is not None:
        return CodecSpec.parse(settings.codec)
    patch = 4 if settings.size < _SMALL_SIZE else 8
    return CodecSpec.parse(f"OPQ-32/{patch}" if settings.grey else f"OPQ-32-8-8/{patch}")


def _latents(
    images: Images, photos: str | Path, out: Path, asked: Codec | CodecSpec, settings: CreateSettings, resume: bool
) -> Latents:
    """The encoded photos in `out/latents`, made now unless an interrupted run had finished them."""
    folder = out / "latents"
    if resume and folder.is_dir():
        latents = Latents(folder)
        spec = asked.spec if isinstance(asked, Codec) else asked
        if latents.manifest["codec"] != str(spec) or list(latents.size) != [settings.size, settings.size]:
            begun = f"{latents.manifest['codec']} at {latents.size[0]} pixels"
            raise SmaltiError(f"{out}: was begun with {begun}; resume with the same.")
        return latents
    views = int(np.clip(_FEW_IMAGES // max(len(images), 1), 1, _MOST_VIEWS))
    print(f"{photos}: {len(images)} images, each cropped to {settings.size}x{settings.size} pixels")
    codec = asked
    if not isinstance(codec, Codec):
        codec = Codec.fit(images.sample(_FIT_IMAGES, settings.seed), str(asked), seed=settings.seed)
    _show_floor(images, codec)
    cropped = _open(photos, settings, "random") if views > 1 else images
    latents = encode_images(cropped, codec, folder, views=views)
    skipped = latents.manifest["skipped"]
    if skipped:
        print(f"skipped {len(skipped)} images that could not be read, such as {skipped[0][0]}: {skipped[0][1]}")
    return latents


def _open(photos: str | Path, settings: CreateSettings, crop: Any) -> Images:
    mode = "L" if settings.grey else "RGB"
    return open_images(photos, size=settings.size, crop=crop, mode=mode, seed=settings.seed, strict=settings.strict)


def _show_floor(images: Images, codec: Codec) -> None:
    floor = codec_floor(images.sample(_FLOOR_IMAGES), codec)
    print(
        f"{codec.spec}: {codec.bits_per_pixel:g} bits a pixel (1:{codec.compression_ratio:g}); the codec keeps {floor} "
        "of photos - what is generated is hardly finer than that, before it is refined"
    )


def _plan(latents: Latents, out: Path, settings: CreateSettings, device: str | None) -> dict[str, Any]:
    """Network and length of the training: settled once, and kept for resuming."""
    path = out / "create.json"
    asked = asdict(settings)
    if path.exists():
        plan = read_json(path)
        changed = [name for name in asked if name not in _MAY_CHANGE and plan["settings"].get(name) != asked[name]]
        if changed:
            raise SmaltiError(f"{out}: was begun with another {', '.join(changed)}; resume with the same settings.")
        return plan
    model, speed = _choose_network(latents, settings, device)
    refiner, refining = _plan_refiner(latents, model, settings, device)
    images = settings.images or max(settings.batch_size, int((60 * settings.minutes - refining) * speed))
    training = TrainSettings(
        images=images,
        batch_size=settings.batch_size,
        learning_rate=TrainSettings().learning_rate * _WIDTHS[0] / model.width,
        warmup=min(TrainSettings().warmup, images // 10),
        ema_halflife=max(settings.batch_size, min(images // 20, 50_000)),
        checkpoint_every=settings.checkpoint_every or max(settings.batch_size, images // 10),
        seed=settings.seed,
    )
    minutes = (images / speed + refining) / 60
    plan = record(
        settings=asked,
        model=asdict(model),
        training=asdict(training),
        refiner=None if refiner is None else asdict(refiner),
        estimate={"images_per_second": speed, "minutes": minutes},
    )
    write_json(path, plan)
    print(
        f"training a U-Net of width {model.width} on {images} images ({images / len(latents):.1f} passes over the "
        f"latents) at {speed:.0f} images a second{', then its refiner' if refiner else ''}: about {minutes:.0f} minutes"
    )
    return plan


def _plan_refiner(
    latents: Latents, model: GeneratorSettings, settings: CreateSettings, device: str | None
) -> tuple[RefinerSettings | None, float]:
    """The refiner that has its share of the minutes, or of the images where these were given; and how long it takes."""
    if not settings.refine:
        return None, 0.0
    speed = refining_speed(latents, model, RefinerSettings(), device)
    share = (
        settings.images * _REFINING / (1 - _REFINING) if settings.images else 60 * settings.minutes * _REFINING * speed
    )
    pairs = int(min(max(share, RefinerSettings().pairs_a_step), _MOST_PAIRS))
    return RefinerSettings(pairs=pairs), pairs / speed


def _choose_network(latents: Latents, settings: CreateSettings, device: str | None) -> tuple[GeneratorSettings, float]:
    """The widest network that can see enough images in the minutes there are, and its speed in images a second.

    Few photos would only be learned by heart by a wider one; there the narrowest is trained, with dropout.
    """
    few = latents.images < _FEW_IMAGES
    dropout = _FEW_DROPOUT if few else 0.0
    fixed = settings.width or (_WIDTHS[0] if few or settings.images else None)
    batch = TrainSettings(batch_size=settings.batch_size)
    chosen = GeneratorSettings(width=fixed or _WIDTHS[0], dropout=dropout)
    speed = training_speed(latents, chosen, batch, device)
    for width in () if fixed else _WIDTHS[1:]:
        wider = replace(chosen, width=width)
        measured = training_speed(latents, wider, batch, device)
        if measured * settings.minutes * 60 * (1 - _REFINING) < _ENOUGH_IMAGES:
            break
        chosen, speed = wider, measured
    return chosen, speed


def _write_report(
    images: Images,
    latents: Latents,
    pipe: SmaltiPipeline,
    plan: dict[str, Any],
    pictures: UInt8[Tensor, "B C H W"],
    out: Path,
) -> None:
    codec = pipe.codec
    floor = codec_floor(images.sample(_FLOOR_IMAGES), codec)
    training, model = plan["training"], plan["model"]
    write_json(out / "report.json", record(codec=str(codec.spec), codec_floor=floor.figures, plan=plan))
    page = Page(
        f"A generator of {latents.images:,} photos",
        f"{latents.manifest['source']}, {latents.size[0]}x{latents.size[1]} pixels, seed {training['seed']}",
    )
    page.tiles(
        [
            Tile("images seen", f"{training['images']:,}", f"{training['images'] / len(latents):.1f} passes"),
            Tile("network", f"width {model['width']}", f"U-Net on a grid of {latents.grid[0]}x{latents.grid[1]}"),
            Tile("codec", f"{floor.psnr:.2f} dB", f"SSIM {floor.ssim:.3f}: what it keeps of photos"),
            Tile(
                "compression", f"1:{codec.compression_ratio:g}", f"{codec.spec}, {codec.bits_per_pixel:g} bits a pixel"
            ),
        ]
    )
    page.picture(
        sample_sheet(pictures), f"{len(pictures)} pictures as they came, none picked. The grids in progress/ show how."
    )
    page.heading("Training")
    page.picture(training_curve(out / "metrics.jsonl"), "Loss against images seen.")
    if pipe.refiner is not None:
        page.heading("The refiner")
        both = unrefined_and_refined(pipe, _FEW_SHOWN, plan["training"]["seed"])
        pairs = f"trained on {plan['refiner']['pairs']:,} pairs of a photo and what coding leaves of it"
        page.picture(sample_sheet(both, _FEW_SHOWN), f"Pictures as the codec decodes them, and refined; {pairs}.")
    page.heading("The codec")
    page.picture(
        side_by_side(floor.rows), f"Photos, and what the codec keeps of them. Mean of {floor.images}: {floor}."
    )
    page.heading("Next")
    page.command(f"smalti sample {out} --count 64 --out samples")
    page.command(f"smalti evaluate {out} --reference {latents.manifest['source']} --features NETWORK.pt")
    page.write(out / "report.html")
