"""What `create` is told, and what it makes of that: a codec, a network, and how long both parts are trained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smalti.codec import Codec, CodecSpec, bundled_codecs
from smalti.data import AnyLatents, CropSettings
from smalti.diffusion import ProcessSettings
from smalti.errors import SmaltiError, require_at_least, require_seed
from smalti.files import read_json, write_record
from smalti.machine import MADE_WITH
from smalti.nets import NetSettings, UNetSettings
from smalti.pixels import GREY, RGB, PixelFormat
from smalti.recipes.network import WIDTHS, choose_network, plan_refiner
from smalti.records import differences, from_record, to_record
from smalti.sizes import Size, height_width
from smalti.training import (
    GeneratorSettings,
    Origin,
    RefinerSettings,
    TrainSettings,
)

_SMALL_SIZE = 128  # from here on patches of 8 leave a grid that is large enough
_MAY_CHANGE = {"minutes", "images", "guard", "checkpoint_every", "strict"}  # when a run is resumed
_MINUTES = 20.0
_APART = 2_000  # images from one checkpoint to the next, at least


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateSettings:
    """What `create` can be told."""

    size: Size = 64
    """Of the pictures in pixels: a number for squares, or height x width, as in 96x64; photos are cropped to their
    largest centred part of that shape and resized."""
    keep_aspect: bool = False
    """Crop each photo to the nearest of a few sizes of about that area, one number, from half to twice as high as
    wide; pictures have these sizes as often as the photos."""
    minutes: float | None = None
    """Minutes to train for, roughly, 20 if neither these nor --images are said; the number of images follows from the
    speed measured here. With --resume, in all: more than before extend the run."""
    images: int | None = None
    """Images to train on, counted with repetition, instead of --minutes. With --resume, in all."""
    batch_size: int = 64
    """Images a training step."""
    width: int | None = None
    """Channels of the network's levels; by default as many as the minutes allow, and 64 given --images."""
    codec: str | None = None
    """The codec to fit, such as RQ-32-8-8; or one that is fitted: a name (photo-high) or a folder, also of a codec for
    bands. By default OPQ-32-8-8, with patches of 4 pixels below a size of 128 and of 8 from there on."""
    held_out: int | None = None
    """Photos to hold out of training, so that it is known when the others are learned by heart: by default a tenth of
    20 to 5,000 photos, 4 to 100 of them; 0 for none."""
    guard: bool = True
    """End the training when the loss on held-out photos rises, with the weights of its lowest, or with --no-guard train
    to the end."""
    augment: bool = False
    """Vary brightness, contrast and saturation of photos by up to a tenth, and crop few of them in more ways. Fewer
    than 5,000 are cropped in up to 8 ways in any case, and all are mirrored as well: text and faces of one side with
    them."""
    refine: bool = True
    """Train a refiner as well, which finishes the pictures, or with --no-refine do without."""
    grey: bool = False
    """Grey pictures instead of colour."""
    processes: int | None = None
    """Processes of a CPU, which share its cores; as many as is fastest here when left out."""
    checkpoint_every: int | None = None
    """Images between checkpoints and sample grids; a tenth of the run by default, and no fewer than 2,000, since a grid
    (36 pictures of 25 steps) asks the network for as much as the training on 300."""
    strict: bool = False
    """Stop at a photo that cannot be read, instead of skipping it."""
    seed: int = 0
    """Same photos, settings, seed, --images and --processes: same model, on one machine."""

    def __post_init__(self) -> None:
        """Refuse what cannot be created.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_seed(self.seed)
        object.__setattr__(self, "size", CropSettings(size=self.size).size)  # which refuses what no picture has
        if self.keep_aspect and not isinstance(self.size, int):
            raise SmaltiError("--keep-aspect is of photos of about one area; give --size one number.")
        for name in ("minutes", "images", "batch_size", "width", "processes", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SmaltiError(f"{name.replace('_', ' ')} is {value}; it must be more than 0.")
        if self.width is not None:
            UNetSettings(width=self.width)  # refuses what no network can have
        if self.held_out is not None:
            require_at_least(0, held_out=self.held_out)
        if self.held_out == 0 and not self.guard:
            raise SmaltiError("without photos that are held out there is no guard; leave --no-guard out.")

    @property
    def pixel_format(self) -> PixelFormat:
        """Of the pictures."""
        return GREY if self.grey else RGB

    def choose_codec(self, origin: Origin | None = None) -> Codec | CodecSpec:
        """The codec that was asked for, or that of a model to begin with; or the spec of the one to fit.

        Raises:
            SmaltiError: it cannot be had, does not parse, or is for other pixels; or what the model to begin with has
                is asked for otherwise.
        """
        if origin is not None:
            for name in ("codec", "width"):
                if getattr(self, name) is not None:
                    raise SmaltiError(f"--{name} does not go with --from: it is that of {origin.name}; leave it out.")
            if self.keep_aspect and not origin.pipe.net.any_grid:
                raise SmaltiError(f"--keep-aspect needs a network for any grid, and that of {origin.name} is for one.")
            self._require_format(origin.pipe.codec.pixel_format, origin.name, fitted=True)
            return origin.pipe.codec
        if self.codec is None:
            patch = 4 if min(height_width(self.size)) < _SMALL_SIZE else 8
            return CodecSpec.parse(f"OPQ-32/{patch}" if self.grey else f"OPQ-32-8-8/{patch}")
        fitted = Path(self.codec).is_dir() or self.codec in bundled_codecs()
        chosen = Codec.from_pretrained(self.codec) if fitted else CodecSpec.parse(self.codec)
        made_for = chosen.pixel_format if isinstance(chosen, Codec) else PixelFormat.of_planes(chosen.planes)
        self._require_format(made_for, self.codec, isinstance(chosen, Codec))
        return chosen

    def _require_format(self, made_for: PixelFormat, name: str, fitted: bool) -> None:
        bands = fitted and not isinstance(made_for.mode, str)  # which are all that they can be
        if made_for != self.pixel_format and not (bands and not self.grey):
            raise SmaltiError(
                f"{name} is for {made_for}; {'grey' if self.grey else 'colour'} pictures need another codec."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is trained, and for how long: settled once, and kept for resuming."""

    settings: CreateSettings
    """What was asked for."""
    model: GeneratorSettings
    training: TrainSettings
    refiner: RefinerSettings | None
    processes: int
    """That train."""
    images_per_second: float
    """Measured before the training."""
    minutes: float
    """That all will take, at that speed."""
    held_out: int = 0
    """Photos that are held out of training."""
    origin: dict[str, Any] | None = None
    """The model whose weights it begins with, if there is one."""

    @classmethod
    def made(
        cls,
        latents: AnyLatents,
        settings: CreateSettings,
        device: str | None,
        *,
        held_out: int = 0,
        origin: Origin | None = None,
    ) -> "Plan":
        """The widest network and the longest training that fit into the minutes, by the speed measured here.

        Beginning with another model, the network is that one's.
        """
        minutes, refiner, refining = settings.minutes or _MINUTES, None, 0.0
        model, processes, speed = choose_network(
            latents,
            images=settings.images,
            minutes=minutes,
            batch_size=settings.batch_size,
            width=settings.width,
            processes=settings.processes,
            origin=origin,
            device=device,
        )
        if settings.refine:
            refiner, refining = plan_refiner(
                latents, model, images=settings.images, minutes=minutes, processes=processes, device=device
            )
        images = settings.images or _whole_batches((60 * minutes - refining) * speed, settings.batch_size)
        training = TrainSettings(
            images=images,
            batch_size=settings.batch_size,
            learning_rate=TrainSettings().learning_rate * WIDTHS[0] / model.net.width,
            warmup=min(TrainSettings().warmup, images // 10),
            ema_halflife=max(settings.batch_size, min(images // 20, 50_000)),
            checkpoint_every=settings.checkpoint_every or max(settings.batch_size, images // 10, min(images, _APART)),
            seed=settings.seed,
        )
        return cls(
            settings=settings,
            model=model,
            training=training,
            refiner=refiner,
            processes=processes,
            images_per_second=speed,
            minutes=(images / speed + refining) / 60,
            held_out=held_out,
            origin=origin.record if origin else None,
        )

    def extended(self, settings: CreateSettings, where: Path) -> "Plan":
        """The same for as many images as are asked for now, or as fit into the minutes; the refiner stays as it is.

        Raises:
            SmaltiError: they are fewer than before.
        """
        then, images, minutes = self.settings, settings.images, settings.minutes
        if images is None and minutes is None:
            images, minutes = then.images, then.minutes
        if (images, minutes) == (then.images, then.minutes):
            total = self.training.images
        else:
            refining = 60 * self.minutes - self.training.images / self.images_per_second
            fitting = (60 * (minutes or _MINUTES) - refining) * self.images_per_second
            total = images or _whole_batches(fitting, settings.batch_size)
        if total < self.training.images:
            given = f"images {images}" if images else f"minutes {minutes:g}, which are {total} images"
            raise SmaltiError(
                f"{where}: was begun for {self.training.images} images, now {given}; resume with as many or more."
            )
        every = settings.checkpoint_every or self.training.checkpoint_every
        return replace(
            self,
            settings=replace(settings, images=images, minutes=minutes),
            training=replace(self.training, images=total, checkpoint_every=every),
            minutes=self.minutes + (total - self.training.images) / self.images_per_second / 60,
        )

    @classmethod
    def read(cls, path: Path, settings: CreateSettings, origin: Origin | None = None) -> "Plan":
        """The plan that was written when a run was begun, which what is asked for now must not contradict.

        More images or minutes extend it.

        Raises:
            SmaltiError: it does; or the plan is of another version.
        """
        content = {key: value for key, value in read_json(path).items() if key not in MADE_WITH}
        if not {"images_per_second", "settings"} <= content.keys():
            raise SmaltiError(
                f"{path.parent}: was begun by another version of smalti, which alone can go on with it; create "
                "again in a new folder."
            )
        then = from_record(cls, content, path, ProcessSettings, NetSettings)
        begun, given = (then.origin or {}), (origin.record if origin else {})
        if begun.get("weights") != given.get("weights"):
            name = begun.get("model")
            raise SmaltiError(
                f"{path.parent}: was begun {f'from {name}' if name else 'from nothing'}; resume "
                f"{f'with --from {name}' if name else 'without --from'}."
            )
        changed = differences(to_record(then.settings), to_record(settings), _MAY_CHANGE)
        if changed:
            raise SmaltiError(
                f"{path.parent}: was begun otherwise ({'; '.join(changed)}); resume with the same settings."
            )
        return then.extended(settings, path.parent)

    def write(self, path: Path) -> None:
        """Keep the plan."""
        write_record(path, **to_record(self))

    def told(self, photos: int) -> str:
        """What is going to happen, in a sentence."""
        batch = self.training.batch_size
        images = -(-self.training.images // batch) * batch  # the last batch is a whole one
        net = "a U-Net" if self.model.net.kind == "unet" else "a transformer"
        return (
            f"training {net} of width {self.model.net.width} on {images} images ({images / photos:.1f} passes over "
            f"{'the photo' if photos == 1 else f'{photos:,} photos'}) at {self.images_per_second:.0f} images a second"
            f"{f' in {self.processes} processes' if self.processes > 1 else ''}"
            f"{', then its refiner' if self.refiner else ''}: about {self.minutes:.0f} minutes"
        )


def _whole_batches(images: float, batch_size: int) -> int:
    """Images that fit, in whole batches; one at least."""
    return max(1, int(images) // batch_size) * batch_size
