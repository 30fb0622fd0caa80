"""Editing: photos filled in, extended, varied, and led over into others, by what a model knows of pictures."""

from collections.abc import Iterator
from math import pi, sin

import torch
from jaxtyping import Bool, Int64, Integer
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from smalti.codec import Codec
from smalti.errors import SmaltiError, require_at_least
from smalti.pipeline.guidance import Labels, label_rows
from smalti.pipeline.pipeline import SmaltiPipeline
from smalti.pipeline.sampling import Known, Start
from smalti.pipeline.settings import SampleSettings

__all__ = ["JUMPS", "blended", "inpaint", "interpolate", "outpaint", "touched", "vary"]

JUMPS = 0
"""By default steps are taken once: each time more takes four fifths of the time again (benchmarks/inpainting.py)."""

Pixels = Integer[Tensor, "C H W"]
Batches = Iterator[Integer[Tensor, "B C H W"]]


def inpaint(
    pipe: SmaltiPipeline,
    photo: Pixels,
    mask: Bool[Tensor, "rows columns"],
    count: int = 1,
    settings: SampleSettings = SampleSettings(),
    *,
    strength: float = 1.0,
    jumps: int = JUMPS,
    labels: Labels | None = None,
) -> Batches:
    """A photo, of any size, `count` times with what is masked made anew; the pixels outside stay as they are.

    Every patch that the mask touches is made. At its border what is made is brought to the brightness and colours
    beside it. With a `strength` below 1 what was there is put under so much noise, instead of being left out of
    account; for `jumps` see `Known`.

    Raises:
        SmaltiError: the mask is empty or of another size, or as `SmaltiPipeline.latents` does.
    """
    size = (photo.shape[1], photo.shape[2])
    if mask.shape != size:
        raise SmaltiError(f"a mask of {tuple(mask.shape)} pixels for a photo of {size}; make them agree.")
    if not mask.any():
        raise SmaltiError("the mask is empty: nothing is to be made; mark what is to be.")
    z = _code(pipe, photo, count)
    known = Known(z, touched(mask, pipe.codec.spec.patch), jumps)
    start = None if strength == 1.0 else Start(z, strength)
    made = pipe.stream(count, settings, size=size, known=known, start=start, labels=labels)
    return (blended(pipe.codec, batch, photo, mask) for batch in made)


def outpaint(
    pipe: SmaltiPipeline,
    photo: Pixels,
    margin: tuple[int, int],
    count: int = 1,
    settings: SampleSettings = SampleSettings(),
    *,
    jumps: int = JUMPS,
    labels: Labels | None = None,
) -> Batches:
    """A photo `count` times with what may lie around it: `margin` pixels above and below, left and right.

    Raises:
        SmaltiError: there is no margin, or as `inpaint` does.
    """
    down, across = margin
    require_at_least(0, margin=min(margin))
    if not max(margin):
        raise SmaltiError("a margin of no pixels: nothing is to be made; give more.")
    canvas = pad(photo, (across, across, down, down))
    mask = torch.ones(canvas.shape[1:], dtype=torch.bool)
    mask[down : down + photo.shape[1], across : across + photo.shape[2]] = False
    return inpaint(pipe, canvas, mask, count, settings, jumps=jumps, labels=labels)


def vary(
    pipe: SmaltiPipeline,
    photo: Pixels,
    strength: float,
    count: int = 1,
    settings: SampleSettings = SampleSettings(),
    *,
    labels: Labels | None = None,
) -> Batches:
    """Variations of a photo: its latent is put under noise, as much as `strength` says (see `Start`), and made again.

    At 0 each is the photo as the codec keeps it, and at 1 hardly anything is left of it.

    Raises:
        SmaltiError: as `SmaltiPipeline.latents` does.
    """
    return _begun_from(pipe, _code(pipe, photo, count), (photo.shape[1], photo.shape[2]), strength, settings, labels)


def interpolate(
    pipe: SmaltiPipeline,
    first: Int64[Tensor, "c h w"],
    last: Int64[Tensor, "c h w"],
    count: int,
    settings: SampleSettings = SampleSettings(),
    *,
    size: tuple[int, int] | None = None,
    strength: float = 0.6,
    labels: Labels | None = None,
) -> Batches:
    """A strip of `count` pictures from one latent to another, one at a time; the ends are what they decode to.

    In between the coordinates of their codewords are mixed, the nearest codewords taken, put under noise and made
    again, all from the same random numbers: under most noise, that of `strength`, in the middle, and ever less towards
    the ends.

    Raises:
        SmaltiError: fewer than two pictures, or as `SmaltiPipeline.latents` does.
    """
    require_at_least(2, count=count)
    shares = [number / (count - 1) for number in range(count)]
    coordinates = pipe.process.coordinates
    rows = label_rows(pipe.classes, labels, count)
    begin, end = (coordinates.embed(each[None]) for each in (first, last))
    size = pipe.sized(*(size or ()))
    for number, share in enumerate(shares):
        mixed = torch.lerp(begin, end, share)
        z = (first if number == 0 else last if number == count - 1 else coordinates.snap(mixed)[0])[None]
        noise = strength * sin(pi * share) if 0 < number < count - 1 else 0.0
        own = None if rows is None else rows[number : number + 1]
        yield from _begun_from(pipe, z, size, noise, settings, own)


def touched(mask: Bool[Tensor, "H W"], patch: int) -> Bool[Tensor, "h w"]:
    """The patches in which any pixel is masked."""
    height, width = mask.shape
    padded = pad(mask.float()[None], (0, -width % patch, 0, -height % patch))
    return max_pool2d(padded, patch)[0] > 0


def _code(pipe: SmaltiPipeline, photo: Pixels, count: int) -> Int64[Tensor, "B c h w"]:
    require_at_least(1, count=count)
    return pipe.codec.encode(photo[None].to(pipe.device)).expand(count, -1, -1, -1)


def _begun_from(
    pipe: SmaltiPipeline,
    z: Int64[Tensor, "B c h w"],
    size: tuple[int, int],
    strength: float,
    settings: SampleSettings,
    labels: Labels | None,
) -> Batches:
    rows = label_rows(pipe.classes, labels, len(z))
    if strength:
        return pipe.stream(len(z), settings, size=size, start=Start(z, strength), labels=rows)
    parts = z.split(settings.batch_size)
    return (pipe.decode(part, size, refine=settings.refine).cpu() for part in parts)


def blended(
    codec: Codec,
    made: Integer[Tensor, "B C H W"],
    photos: Integer[Tensor, "*B C H W"],
    mask: Bool[Tensor, "H W"],
) -> Integer[Tensor, "B C H W"]:
    """What was made inside the mask and the photos outside of it, without a step between them.

    What a photo is brighter than what was made, at the known pixels nearby (about as far as a patch), is added to what
    was made, ever less towards the inside.
    """
    form, reach = codec.pixel_format, codec.spec.patch / 2
    levels, wanted = form.levels(made), form.levels(photos)
    known = (~mask).float()
    near = gaussian_filter(known.numpy(), reach, mode="nearest")
    off = gaussian_filter(((wanted - levels) * known).numpy(), (0, 0, reach, reach), mode="nearest")
    mended = form.pixels(levels + torch.from_numpy(off / near.clip(min=0.5)))
    return torch.where(mask, mended, photos)
