"""Encoding images into a folder of latents, on an engine, a shard at a time."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from smalti.codec import Codec
from smalti.data import AnyLatents, Images, open_latents
from smalti.encoding.local import encode_locally
from smalti.encoding.ray import encode_on_ray
from smalti.encoding.shards import BEGUN, Begun, NoneReadable, Shards, whole_in, write_manifest_of_parts
from smalti.encoding.work import Work
from smalti.errors import SmaltiError, require_at_least
from smalti.files import new_folder, write_record
from smalti.locks import unfinished
from smalti.progress import Progress
from smalti.records import to_record
from smalti.signals import Ended
from smalti.sizes import told_size

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
) -> AnyLatents:
    """Encode every image and write a folder of latents, which appears under its name once it is whole.

    `views` passes are made over the images (another random crop each, where these are cropped at random). With `flips`
    each is encoded mirrored as well: flipping a latent would not flip the patches that its indices stand for.

    Until then it grows in a hidden folder, a shard of some hundred images at a time, each written whole. Killed or
    failed, it goes on there with `resume`, with what is whole and what was asked for then; otherwise it begins again.
    Whatever the engine and the number of workers, and however often it was killed, the latents are the same.

    Images that are cropped to several sizes (`CropSettings.sizes`) get a folder for each in that folder.

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
    out, work = Path(out), Work(images, codec, flips)
    how = _How(engine, workers, resume, progress)
    if images.settings.sizes:
        _encode_by_size(work, out, views, how)
    else:
        _encode(work, out, views, how)
    return open_latents(out)


@dataclass(frozen=True)
class _How:
    """How it is done, which changes nothing of what is written."""

    engine: Engine
    workers: int | None
    resume: bool
    progress: bool


def _is_done(asked: Begun, out: Path, how: _How) -> bool:
    """Whether it was finished before.

    Raises:
        SmaltiError: it was begun otherwise.
    """
    if not (how.resume and (out / BEGUN).is_file() and unfinished(out) is None):
        return False
    Begun.read(out, asked, out)
    return True


def _encode_by_size(work: Work, out: Path, views: int, how: _How) -> None:
    """Write a folder of latents for each size, in a folder that appears once all are whole.

    Sizes of which no image can be read are left out; these images are skipped as others are.
    """
    asked = Begun.of(work.images, work.codec, views, work.flips)
    if _is_done(asked, out, how):
        return
    parts = {told_size(size): images for size, images in work.images.by_size().items()}
    with new_folder(out, kept=BEGUN, resume=how.resume) as aside:
        if (aside / BEGUN).is_file():
            Begun.read(aside, asked, out)
        else:
            write_record(aside / BEGUN, **to_record(asked))
        whole: list[str] = []
        skipped: list[list[str]] = []
        try:
            for name, images in parts.items():
                if how.progress:
                    print(f"{name} pixels (height x width): {len(images):,} images")
                own = replace(how, resume=unfinished(aside / name) is not None or (aside / name).is_dir())
                try:
                    _encode(replace(work, images=images), aside / name, views, own, among=out)
                    whole.append(name)
                except NoneReadable as error:
                    skipped += error.skipped
            if not whole:
                raise NoneReadable(work.images.source, skipped)
            write_manifest_of_parts(aside, work.images, whole, skipped)
        except BaseException as error:
            done = sum((aside / name).is_dir() for name in parts)
            begun = sum(map(whole_in, filter(None, (unfinished(aside / name) for name in parts))))
            kept = [f"{done} of {len(parts)} sizes"] if done else []
            kept += [f"{begun} shards of another size" if done else f"{begun} shards"] if begun else []
            _keep(aside, out, " and ".join(kept), error)
            raise


def _encode(work: Work, out: Path, views: int, how: _How, among: Path | None = None) -> None:
    """Write a folder of latents of one size; they may be `among` those of others, which then says what is kept."""
    asked, told_as = Begun.of(work.images, work.codec, views, work.flips), among / out.name if among else out
    if _is_done(asked, out, how):
        return
    with new_folder(out, kept=BEGUN, resume=how.resume) as aside:
        try:
            shards = Shards(aside, asked, told_as)
            for name in shards.damaged:
                print(f"{told_as}: {name} of the unfinished latents is not what was written there; it is made again")
            left = shards.left
            bar = Progress(
                desc="encoding" if views == 1 else f"encoding {views} views",
                total=sum(map(len, shards.parts)),
                initial=sum(map(len, shards.parts)) - sum(map(len, left)),
                unit="image",
                disable=not how.progress,
            )
            if left:  # or it was killed when only the last records were missing
                with bar, closing(_ENGINES[how.engine](work, left, how.workers, bar.update)) as encoded:
                    for each in encoded:
                        shards.write(each)
            shards.finish(work.images, work.codec)
        except BaseException as error:
            kept = 0 if isinstance(error, NoneReadable) else whole_in(aside)
            told = f"{kept} of {len(asked.parts)} shards" if kept else ""
            if kept and among:
                raise
            _keep(aside, out, told, error)
            raise


def _keep(aside: Path, out: Path, kept: str, error: BaseException) -> None:
    """Say what is kept of what was not finished; where that is nothing, let it be cleared.

    Raises:
        Ended: that is the error, and now says what is kept.
    """
    if not kept:
        (aside / BEGUN).unlink(missing_ok=True)  # nothing would be lost
    elif isinstance(error, Ended):
        raise Ended(error.number, f"{kept} of {out} are kept, --resume goes on with them") from None
    else:
        print(f"{out}: {kept} are kept, --resume goes on with them")
