"""What `create` is told, and what it makes of that: a codec, a network, and how long both parts are trained."""

from dataclasses import dataclass
from pathlib import Path

from smalti.codec import Codec, CodecSpec, bundled_codecs
from smalti.data import CropSettings, Latents
from smalti.diffusion import ProcessSettings
from smalti.errors import SmaltiError, require_seed
from smalti.files import read_json, write_record
from smalti.machine import MADE_WITH
from smalti.nets import NetSettings, UNetSettings
from smalti.pixels import GREY, RGB, PixelFormat
from smalti.records import differences, from_record, to_record
from smalti.sizes import Size, height_width
from smalti.training import (
    GeneratorSettings,
    RefinerSettings,
    TrainSettings,
    choose_processes,
    refining_speed,
    training_speed,
)

FEW_IMAGES = 5_000
"""Below this, photos are cropped in several ways, and a small network is trained with dropout."""

_SMALL_SIZE = 128  # from here on patches of 8 leave a grid that is large enough
_WIDTHS = (64, 96, 128, 192)
_ENOUGH_IMAGES = 400_000  # a wider network has to be able to see so many in the time
_FEW_DROPOUT = 0.1
_REFINING = 0.15  # share of the time that the refiner is trained for
_MOST_PAIRS = 200_000  # beyond that, the time is the generator's
_MAY_CHANGE = {"minutes", "checkpoint_every", "strict"}  # when a run is resumed


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateSettings:
    """What `create` can be told."""

    size: Size = 64
    """Of the pictures in pixels: a number for squares, or height x width, as in 96x64; photos are cropped to their
    largest centred part of that shape and resized."""
    minutes: float = 20.0
    """Minutes to train for, roughly; the number of images follows from the speed measured here."""
    images: int | None = None
    """Images to train on, counted with repetition, instead of --minutes."""
    batch_size: int = 64
    """Images a training step."""
    width: int | None = None
    """Channels of the network's levels; by default as many as the minutes allow, and 64 given --images."""
    codec: str | None = None
    """The codec to fit, such as RQ-32-8-8; or one that is fitted: a name (photo-high) or a folder, also of a codec for
    bands. By default OPQ-32-8-8, with patches of 4 pixels below a size of 128 and of 8 from there on."""
    refine: bool = True
    """Train a refiner as well, which finishes the pictures, or with --no-refine do without."""
    grey: bool = False
    """Grey pictures instead of colour."""
    processes: int | None = None
    """Processes of a CPU, which share its cores; as many as is fastest here when left out."""
    checkpoint_every: int | None = None
    """Images between checkpoints and sample grids; ten in a run by default."""
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
        for name in ("minutes", "images", "batch_size", "width", "processes", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SmaltiError(f"{name.replace('_', ' ')} is {value}; it must be more than 0.")
        if self.width is not None:
            UNetSettings(width=self.width)  # refuses what no network can have

    @property
    def pixel_format(self) -> PixelFormat:
        """Of the pictures."""
        return GREY if self.grey else RGB

    def choose_codec(self) -> Codec | CodecSpec:
        """The codec that was asked for, if it need not be fitted, or the spec of the one to fit.

        Raises:
            SmaltiError: it cannot be had, does not parse, or is for other pixels.
        """
        if self.codec is None:
            patch = 4 if min(height_width(self.size)) < _SMALL_SIZE else 8
            return CodecSpec.parse(f"OPQ-32/{patch}" if self.grey else f"OPQ-32-8-8/{patch}")
        fitted = Path(self.codec).is_dir() or self.codec in bundled_codecs()
        chosen = Codec.from_pretrained(self.codec) if fitted else CodecSpec.parse(self.codec)
        made_for = chosen.pixel_format if isinstance(chosen, Codec) else PixelFormat.of_planes(chosen.planes)
        bands = isinstance(chosen, Codec) and not isinstance(made_for.mode, str)  # which are all that they can be
        if made_for != self.pixel_format and not (bands and not self.grey):
            raise SmaltiError(
                f"{self.codec} is for {made_for}; {'grey' if self.grey else 'colour'} pictures need another codec."
            )
        return chosen


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

    @classmethod
    def made(cls, latents: Latents, settings: CreateSettings, device: str | None) -> "Plan":
        """The widest network and the longest training that fit into the minutes, by the speed measured here."""
        model, processes, speed = _choose_network(latents, settings, device)
        refiner, refining = _plan_refiner(latents, model, settings, processes, device)
        images = settings.images or max(settings.batch_size, int((60 * settings.minutes - refining) * speed))
        training = TrainSettings(
            images=images,
            batch_size=settings.batch_size,
            learning_rate=TrainSettings().learning_rate * _WIDTHS[0] / model.net.width,
            warmup=min(TrainSettings().warmup, images // 10),
            ema_halflife=max(settings.batch_size, min(images // 20, 50_000)),
            checkpoint_every=settings.checkpoint_every or max(settings.batch_size, images // 10),
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
        )

    @classmethod
    def read(cls, path: Path, settings: CreateSettings) -> "Plan":
        """The plan that was written when a run was begun, which what is asked for now must not contradict.

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
        changed = differences(to_record(then.settings), to_record(settings), _MAY_CHANGE)
        if changed:
            raise SmaltiError(
                f"{path.parent}: was begun otherwise ({'; '.join(changed)}); resume with the same settings."
            )
        return then

    def write(self, path: Path) -> None:
        """Keep the plan."""
        write_record(path, **to_record(self))

    def told(self, latents: int) -> str:
        """What is going to happen, in a sentence."""
        images = self.training.images
        return (
            f"training a U-Net of width {self.model.net.width} on {images} images ({images / latents:.1f} passes over "
            f"the latents) at {self.images_per_second:.0f} images a second"
            f"{f' in {self.processes} processes' if self.processes > 1 else ''}"
            f"{', then its refiner' if self.refiner else ''}: about {self.minutes:.0f} minutes"
        )


def _plan_refiner(
    latents: Latents, model: GeneratorSettings, settings: CreateSettings, processes: int, device: str | None
) -> tuple[RefinerSettings | None, float]:
    """The refiner that has its share of the minutes, or of the images where these were given; and how long it takes."""
    if not settings.refine:
        return None, 0.0
    speed = refining_speed(latents, model, RefinerSettings(), device, processes=processes)
    share = (
        settings.images * _REFINING / (1 - _REFINING) if settings.images else 60 * settings.minutes * _REFINING * speed
    )
    pairs = int(min(max(share, RefinerSettings().pairs_a_step), _MOST_PAIRS))
    return RefinerSettings(pairs=pairs), pairs / speed


def _choose_network(
    latents: Latents, settings: CreateSettings, device: str | None
) -> tuple[GeneratorSettings, int, float]:
    """The widest network that can see enough images in the minutes there are, the processes, and the images a second.

    Few photos would only be learned by heart by a wider one; there the narrowest is trained, with dropout.
    """
    few = latents.images < FEW_IMAGES
    dropout = _FEW_DROPOUT if few else 0.0
    fixed = settings.width or (_WIDTHS[0] if few or settings.images else None)
    batch = TrainSettings(batch_size=settings.batch_size)

    def of_width(width: int) -> GeneratorSettings:
        return GeneratorSettings(net=UNetSettings(width=width, dropout=dropout))

    def speed_of(width: int, processes: int) -> float:
        return training_speed(latents, of_width(width), batch, device, processes=processes)

    chosen = fixed or _WIDTHS[0]
    if settings.processes:
        processes, speed = settings.processes, speed_of(chosen, settings.processes)
    else:
        processes, speed = choose_processes(
            lambda number: speed_of(chosen, number),
            settings.batch_size,
            lambda pace: settings.images / pace if settings.images else 60 * settings.minutes,
            device,
        )
    for width in () if fixed else _WIDTHS[1:]:
        measured = speed_of(width, processes)
        if measured * settings.minutes * 60 * (1 - _REFINING) < _ENOUGH_IMAGES:
            break
        chosen, speed = width, measured
    return of_width(chosen), processes, speed
