"""Encoding images into a folder of latents, on an engine, a shard at a time."""

from contextlib import closing
from pathlib import Path
from typing import Literal, get_args

from smalti.codec import Codec
from smalti.data import Images, Latents
from smalti.encoding.local import encode_locally
from smalti.encoding.ray import encode_on_ray
from smalti.encoding.shards import BEGUN, Begun, Shards, whole_in
from smalti.encoding.work import Work
from smalti.errors import SmaltiError, require_at_least
from smalti.files import new_folder, unfinished
from smalti.progress import Progress
from smalti.signals import Ended

__all__ = ["Engine", "encode_images"]

Engine = Literal["local", "ray"]

_ENGINES = {"local": encode_locally, "ray": encode_on_ray}


def encode_images(
    images: Images,
    codec: Codec,
    out: str | Path,
    *,
    views: int = 1,
    flips: bool = True,
    engine: Engine = "local",
    workers: int | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Latents:
    """Encode every image and write a folder of latents, which appears under its name once it is whole.

    `views` passes are made over the images (another random crop each, where these are cropped at random). With `flips`
    each is encoded mirrored as well: flipping a latent would not flip the patches that its indices stand for.

    Until then it grows in a hidden folder, a shard of some hundred images at a time, each written whole. Killed or
    failed, it goes on there with `resume`, with what is whole and what was asked for then; otherwise it begins again.
    Whatever the engine and the number of workers, and however often it was killed, the latents are the same.

    Args:
        images: what is encoded.
        codec: by what.
        out: the folder.
        views: passes over the images.
        flips: whether each is encoded mirrored as well.
        engine: "local", this machine; or "ray", a Ray cluster.
        workers: processes of a core each; left out, as many as there are cores, or the cluster has, but this one alone
            where less than half a minute is left to do.
        resume: go on with what was begun, if something was.
        progress: show how far it is.

    Raises:
        SmaltiError: `out` is not empty, or the images differ in size or do not fit the codec; or what is to be resumed
            was begun otherwise.
    """
    require_at_least(1, views=views, workers=1 if workers is None else workers)
    if engine not in _ENGINES:
        raise SmaltiError(f"{engine!r} is no engine; take one of {', '.join(get_args(Engine))}.")
    out, asked = Path(out), Begun.of(images, codec, views, flips)
    if resume and (out / BEGUN).is_file() and unfinished(out) is None:
        Begun.read(out, asked, out)
        return Latents(out)
    with new_folder(out, kept=BEGUN, resume=resume) as aside:
        try:
            shards = Shards(aside, asked, out)
            for name in shards.damaged:
                print(f"{out}: {name} of the unfinished latents is not what was written there; it is made again")
            left = shards.left
            bar = Progress(
                desc="encoding" if views == 1 else f"encoding {views} views",
                total=sum(map(len, shards.parts)),
                initial=sum(map(len, shards.parts)) - sum(map(len, left)),
                unit="image",
                disable=not progress,
            )
            work = Work(images, codec, flips)
            if left:  # or it was killed when only the last records were missing
                with bar, closing(_ENGINES[engine](work, left, workers, bar.update)) as encoded:
                    for each in encoded:
                        shards.write(each)
            shards.finish(images, codec)
        except BaseException as error:
            kept, parts = whole_in(aside), len(asked.parts)
            if not kept:
                (aside / BEGUN).unlink(missing_ok=True)  # nothing would be lost
            elif isinstance(error, Ended):
                told = f"{kept} of {parts} shards of {out} are kept, --resume goes on with them"
                raise Ended(error.number, told) from None
            else:
                print(f"{out}: {kept} of {parts} shards are kept, --resume goes on with them")
            raise
    return Latents(out)
