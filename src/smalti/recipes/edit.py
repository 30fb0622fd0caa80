"""`edit`: a photo filled in, extended, varied, or led over into another; and what lies between two seeds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Bool, Int64, UInt8
from PIL import Image
from torch import Tensor

from smalti.data import CropSettings, Images, Manifest, open_images
from smalti.devices import find_device
from smalti.errors import SmaltiError, require_at_least, require_seed
from smalti.files import new_folder, refuse_occupied, write_record
from smalti.model_folder import ModelFolder
from smalti.pipeline import JUMPS, SampleSettings, SmaltiPipeline, inpaint, interpolate, outpaint, vary
from smalti.pixels import GREY_LEVELS, Mode, PixelFormat, to_image
from smalti.progress import Progress, is_shown_live
from smalti.recipes.sample import asked_of, print_of_size
from smalti.records import to_record
from smalti.report import grid
from smalti.schedulers import make_scheduler
from smalti.sizes import Size, height_width, nearest_size, told_size

_STRIP_STRENGTH = 0.6
_COLUMNS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class EditSettings:
    """What is done to a photo: one of these, where it is not varied alone."""

    mask: Path | None = None
    """A picture as large as the photo: what is white there is made anew, and what is black stays as it is."""
    outpaint: Size | None = None
    """Pixels to add on every side; or HxW: above and below x left and right, as in 0x32."""
    to: Path | None = None
    """Another photo: what is made is a strip from the one to the other."""
    seeds: tuple[int, int] | None = None
    """Two seeds, and no photo: a strip from the picture of the one to that of the other."""
    strength: float | None = None
    """How much noise the photo is put under, 0 to 1: at 0 it is as the codec keeps it, at 1 hardly anything is left of
    it. Alone it gives variations; with --mask what is masked is varied, not made anew; of a strip it is that of its
    middle (0.6)."""
    jumps: int | None = None
    """With --mask or --outpaint: how often each fifth of the steps is gone back and taken again, so that what is made
    agrees with what is there (0)."""
    count: int = 8
    """How many pictures."""

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            SmaltiError: two things at once, or a setting that is out of range.
        """
        asked = [f"--{name}" for name in ("mask", "outpaint", "to", "seeds") if getattr(self, name) is not None]
        if len(asked) > 1:
            raise SmaltiError(f"{' and '.join(asked)} are two things; take one at a time.")
        require_at_least(2 if self.is_strip else 1, count=self.count)
        if self.strength is not None:
            if self.outpaint is not None:
                raise SmaltiError("--strength is of what is there, and beside a photo nothing is; leave it out.")
            least = "more than 0" if self.mask is not None else "from 0"
            if not 0 <= self.strength <= 1 or (self.mask is not None and not self.strength):
                raise SmaltiError(f"strength is {self.strength:g}; it must be {least} to 1.")
        if self.jumps is not None:
            require_at_least(0, jumps=self.jumps)
            if self.mask is None and self.outpaint is None:
                raise SmaltiError("--jumps make what is new agree with what stays: they go with --mask or --outpaint.")
        for seed in self.seeds or ():
            require_seed(seed)

    def require_something(self) -> None:
        """Refuse settings by which nothing is done.

        Raises:
            SmaltiError: so it is.
        """
        if all(value is None for value in (self.mask, self.outpaint, self.to, self.seeds, self.strength)):
            raise SmaltiError("nothing is to be done; give --mask, --outpaint, --to, --seeds, or --strength alone.")

    @property
    def is_strip(self) -> bool:
        """Whether pictures lead from one to another."""
        return self.to is not None or self.seeds is not None


def edit(
    model: str,
    photo: Path | None,
    out: Path,
    settings: EditSettings,
    sampling: SampleSettings = SampleSettings(),
    *,
    label: str | None = None,
    size: Size | None = None,
    device: str | None = None,
) -> int:
    """Edit a photo by what a model knows of pictures; return how many pictures there are.

    A photo of another size than the model's pictures, or than `size` where that is given, is cropped as the model's
    photos were; of a model of several sizes that nearest to its shape is taken. The new folder holds the pictures,
    `photo.png`, what was edited, `mask.png`, what of it was made anew, all of it side by side in `grid.png`, and
    `edit.json`.

    Raises:
        SmaltiError: model, photo, mask, class or scheduler cannot be had, or do not suit each other, or `out` is taken.
    """
    settings.require_something()
    refuse_occupied(out)
    if (photo is None) != (settings.seeds is not None):
        given = "no photo" if photo is None else f"{photo} and --seeds"
        raise SmaltiError(f"{given}: give a photo, or --seeds and no photo.")
    folder = ModelFolder.find(model)
    pipe = SmaltiPipeline.from_pretrained(folder.path).to(find_device(device))
    if sampling.scheduler is not None:
        pipe.scheduler = make_scheduler(sampling.scheduler, pipe.process)
    if not isinstance(pipe.codec.pixel_format.mode, str):
        raise SmaltiError(f"the model makes {pipe.codec.pixel_format}, which are no photos; edit them from Python.")
    if size is None and photo is not None and pipe.sizes:
        size = nearest_size(_shape(photo), list(pipe.sizes))
    sides = pipe.sized(*(height_width(size) if size is not None else ()))
    pipe.set_progress_bar_config(leave=False, desc="steps", position=1, disable=not is_shown_live())
    shown: list[Tensor] = []
    mask = None
    if photo is not None:
        crop = crop_of(pipe, folder, sides)
        if settings.mask is not None:
            mask = _mask(settings.mask, photo, crop)
        shown.append(_opened(photo, crop))
        if settings.to is not None:
            shown.append(_opened(settings.to, crop))
    print_of_size(pipe, _made_size(sides, settings))

    pictures = _pictures(pipe, shown, mask, settings, sampling, sides, label)
    with new_folder(out) as aside:
        made = []
        with Progress(total=settings.count, desc="editing", unit="image") as bar:
            for picture in (picture for batch in pictures for picture in batch):
                to_image(picture).save(aside / f"{len(made):05d}.png")
                made.append(picture)
                bar.update(1)
        for name, picture in zip(("photo", "to"), shown, strict=False):
            to_image(picture).save(aside / f"{name}.png")
        if mask is not None:
            to_image((mask * GREY_LEVELS).to(torch.uint8)[None]).save(aside / "mask.png")
        alike = shown if shown and shown[0].shape == made[0].shape else []
        ends = alike[:1] + made + alike[1:]
        grid(torch.stack(ends), columns=min(_COLUMNS, len(ends))).save(aside / "grid.png")
        asked = {**_plain(settings), "photo": None if photo is None else str(photo), "label": label}
        write_record(aside / "edit.json", **asked_of(model, pipe, sampling, **asked, size=list(sides)))
    return settings.count


def _plain(settings: EditSettings) -> dict[str, object]:
    """Settings as a record holds them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in to_record(settings).items()}


def _made_size(size: tuple[int, int], settings: EditSettings) -> tuple[int, int]:
    down, across = height_width(settings.outpaint) if settings.outpaint is not None else (0, 0)
    return size[0] + 2 * down, size[1] + 2 * across


def _pictures(
    pipe: SmaltiPipeline,
    photos: list[Tensor],
    mask: Bool[Tensor, "H W"] | None,
    settings: EditSettings,
    sampling: SampleSettings,
    size: tuple[int, int],
    label: str | None,
) -> Iterator[UInt8[Tensor, "B C H W"]]:
    """What is made, in batches."""
    count, strength = settings.count, settings.strength
    jumps = JUMPS if settings.jumps is None else settings.jumps
    if settings.is_strip:
        first, last = _ends(pipe, photos, settings, sampling, size, label)
        noise = _STRIP_STRENGTH if strength is None else strength
        return interpolate(pipe, first, last, count, sampling, size=size, strength=noise, labels=label)
    (photo,) = photos
    if mask is not None:
        noise = 1.0 if strength is None else strength
        return inpaint(pipe, photo, mask, count, sampling, strength=noise, jumps=jumps, labels=label)
    if settings.outpaint is not None:
        margin = height_width(settings.outpaint)
        return outpaint(pipe, photo, margin, count, sampling, jumps=jumps, labels=label)
    assert strength is not None
    return vary(pipe, photo, strength, count, sampling, labels=label)


def _ends(
    pipe: SmaltiPipeline,
    photos: list[Tensor],
    settings: EditSettings,
    sampling: SampleSettings,
    size: tuple[int, int],
    label: str | None,
) -> list[Int64[Tensor, "c h w"]]:
    """The latents between which a strip leads."""
    if settings.seeds is None:
        return list(pipe.codec.encode(torch.stack(photos).to(pipe.device)))
    each = [replace(sampling, seed=seed) for seed in settings.seeds]
    return [next(pipe.latents(1, how, labels=label, size=size))[0] for how in each]


def crop_of(pipe: SmaltiPipeline, folder: ModelFolder, size: tuple[int, int]) -> CropSettings:
    """How photos of a size are cropped for a model: as its own were, but for chance."""
    manifest = Manifest.of_model(folder)
    stretched = manifest is not None and manifest.crop.crop == "stretch"
    return CropSettings(size=size, crop="stretch" if stretched else "center", mode=pipe.codec.pixel_format.mode)


def _one(path: Path, mode: Mode | PixelFormat) -> Images:
    """The one image of a file."""
    images = open_images(path, mode=mode, strict=True)
    if len(images) != 1:
        raise SmaltiError(f"{path}: {len(images)} images; name one.")
    return images


def _shape(path: Path) -> tuple[int, int]:
    """Height and width of a photo."""
    own = next(iter(_one(path, "L")))
    return own.shape[1], own.shape[2]


def _opened(path: Path, crop: CropSettings) -> UInt8[Tensor, "C H W"]:
    """A photo, cropped where it is of another size, which is said."""
    images = _one(path, crop.mode)
    own = next(iter(images))
    if own.shape[1:] == crop.sides:
        return own
    cropped = next(iter(images.cropped(crop)))
    how = "stretched" if crop.crop == "stretch" else "cropped to its middle"
    sizes = [told_size((each.shape[1], each.shape[2])) for each in (own, cropped)]
    print(
        f"{path}: {how} and resized, from {sizes[0]} to {sizes[1]} pixels (height x width), as the model's photos were"
    )
    return cropped


def _mask(path: Path, photo: Path, crop: CropSettings) -> Bool[Tensor, "H W"]:
    """What is white in a mask that is as large as the photo, cropped as that is."""
    need, have = (told_size(_shape(each)) for each in (photo, path))
    if need != have:
        raise SmaltiError(f"{path}: a mask of {have} pixels (height x width), and {photo} has {need}; make them agree.")
    # What is transparent is put on white, as in photos, and so would be made anew.
    with Image.open(path) as opened:
        if "A" in opened.getbands() and cast(tuple[int, int], opened.getchannel("A").getextrema())[0] < GREY_LEVELS:
            raise SmaltiError(f"{path}: a mask is white and black, and this is transparent in parts; fill these black.")
    white = next(iter(_one(path, "L").cropped(replace(crop, mode="L"))))[0] > GREY_LEVELS // 2
    if not white.any():
        raise SmaltiError(
            f"{path}: nothing is white in the part of the mask that is taken; paint white what is to be made."
        )
    return white
