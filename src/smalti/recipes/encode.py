"""`encode`: photos to latents."""

from pathlib import Path

from smalti.codec import Codec
from smalti.data import AnyLatents
from smalti.encoding import Engine, encode_images
from smalti.errors import SmaltiError
from smalti.files import refuse_occupied
from smalti.locks import clear_unfinished, unfinished
from smalti.recipes.photos import PhotoSettings, require_contrast, told_of_sizes


def encode(
    photos: str,
    codec: str,
    out: Path,
    *,
    crop: PhotoSettings = PhotoSettings(size=128),
    views: int = 1,
    flips: bool = True,
    keep_aspect: bool = False,
    seed: int = 0,
    engine: Engine = "local",
    workers: int | None = None,
    resume: bool = False,
) -> AnyLatents:
    """Encode photos into a folder of latents; with `resume` go on with what was begun there.

    With `keep_aspect` each is cropped to the nearest of several sizes of about the area that is asked for.

    Raises:
        SmaltiError: photos or codec cannot be had, no photo has any contrast, `out` is taken, or views of one crop; or
            nothing was begun that could be resumed, it was begun otherwise, or another process is writing there.
    """
    begun = unfinished(out) is not None
    if resume and not begun and not out.exists():
        raise SmaltiError(f"{out}: no encode was begun there; start without --resume.")
    if not resume and not begun:
        refuse_occupied(out)
    if views > 1 and crop.crop != "random":
        raise SmaltiError(f"{views} views of the same crop would be the same; take --crop random with --views.")
    loaded = Codec.from_pretrained(codec)
    images = crop.open(photos, loaded.pixel_format, seed)
    print(f"{photos}: {images.told}")
    if keep_aspect:
        images = images.keeping_shapes(loaded.spec.patch)
        print(told_of_sizes(images, keep_aspect))
    require_contrast(images)
    if not resume and clear_unfinished(out):
        print(f"{out}: what an encode before this had not finished is cleared; --resume would have gone on with it")
    options = {"engine": engine, "workers": workers, "resume": resume}
    return encode_images(images, loaded, out, views=views, flips=flips, **options)
