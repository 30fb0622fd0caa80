"""Shards of latents: each of some images, written whole with all that is known of it; and the folder they end in."""

import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from smalti.codec import Codec
from smalti.data import COUNTS, LABELS, NO_LABEL, CropSettings, Images, Manifest
from smalti.digests import digest_of, digests_of
from smalti.encoding.work import Encoded, Part, require_same_size
from smalti.errors import SmaltiError
from smalti.files import read_json, write_json, write_record, write_whole, written
from smalti.machine import MADE_WITH
from smalti.records import differences, from_record, to_record

__all__ = ["BEGUN", "Begun", "NoneReadable", "Shards", "whole_in", "write_manifest_of_parts"]

BEGUN = "encode.json"

_MANIFEST = "manifest.json"
_LEAST_IMAGES = 256  # of a shard: what a kill may cost each worker
_MOST_IMAGES = 2**16  # so that a worker can hold it
_SHARDS = 400  # about the most there are, for as long as they do not grow too large: each is a file that is open
_MAY_CHANGE = {"source", "images_a_shard"}  # the place of the photos, and the version's choice


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What an encode was begun with. It is gone on with in no other way."""

    source: str
    source_fingerprint: str
    crop: CropSettings
    images: int
    """In the source, readable or not."""
    views: int
    flips: bool
    codec: str
    codec_fingerprint: str
    images_a_shard: int

    @classmethod
    def of(cls, images: Images, codec: Codec, views: int, flips: bool) -> "Begun":
        """What is asked for now. Shards follow from the number of images, not from who encodes them."""
        wanted = max(_LEAST_IMAGES, len(images) * views // _SHARDS)
        return cls(
            source=images.source,
            source_fingerprint=images.fingerprint,
            crop=images.settings,
            images=len(images),
            views=views,
            flips=flips,
            codec=str(codec.spec),
            codec_fingerprint=codec.fingerprint,
            images_a_shard=min(_MOST_IMAGES, 2 ** (wanted - 1).bit_length()),
        )

    @classmethod
    def read(cls, folder: Path, asked: "Begun", out: Path) -> "Begun":
        """What was begun in a folder, which what is asked for now must not contradict.

        Raises:
            SmaltiError: it does, or what is there is damaged.
        """
        content = read_json(folder / BEGUN)
        then = from_record(cls, {name: content[name] for name in content if name not in MADE_WITH}, out)
        changed = differences(to_record(then), to_record(asked), _MAY_CHANGE)
        if changed:
            raise SmaltiError(
                f"{out}: was begun otherwise ({'; '.join(changed)}); resume with the same, or begin again without."
            )
        return then

    @property
    def parts(self) -> list[Part]:
        """What becomes a shard each, in the order of the latents."""
        starts = range(0, self.images, self.images_a_shard)
        ranges = [
            (view, start, min(start + self.images_a_shard, self.images))
            for view in range(self.views)
            for start in starts
        ]
        return [Part(number, *each) for number, each in zip(count(), ranges, strict=False)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shard:
    """What is written beside a shard, when that is whole."""

    codes: str | None
    """The digest of its codes; none where no image can be read."""
    numbers: list[int]
    labels: list[list[int]]
    counts: list[list[int]]
    skipped: list[list[str]]
    size: tuple[int, int] | None
    first: str


class NoneReadable(SmaltiError):
    """Not one of some images can be read."""

    def __init__(self, source: str, skipped: list[list[str]]):
        name, reason = skipped[0]
        told = f"not one of {len(skipped)} images can be read (the first, {name}: {reason}); name another."
        super().__init__(f"{source}: {told}")
        self.skipped = skipped
        """Name and reason of each."""


class Shards:
    """The shards in a folder that is not whole yet."""

    def __init__(self, folder: Path, asked: Begun, out: Path):
        """Go on with what was begun in the folder, or begin.

        Raises:
            SmaltiError: it was begun otherwise.
        """
        self._folder = folder
        if (folder / BEGUN).is_file():
            self._begun = Begun.read(folder, asked, out)
        else:
            for path in list(folder.iterdir()):  # of an earlier version
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            self._begun = asked
            write_record(folder / BEGUN, **to_record(asked))
        self.parts = self._begun.parts
        self.damaged: list[str] = []
        """Files of shards that are not what was written: they are made again."""
        self._size: tuple[int, int] | None = None
        self._whole = set(range(len(self.parts))) if self.is_finished else set(self._found())

    @property
    def left(self) -> list[Part]:
        """What is still to be encoded."""
        return [part for part in self.parts if part.number not in self._whole]

    @property
    def is_finished(self) -> bool:
        """Whether all was written, and the folder was only to appear."""
        return (self._folder / _MANIFEST).is_file()

    def write(self, encoded: Encoded) -> None:
        """Write a shard, and then what is known of it.

        Raises:
            SmaltiError: its images differ in size from others, or there is no room.
        """
        if encoded.size is not None:
            self._size = self._size or encoded.size
            require_same_size(encoded.first, encoded.size, self._size)
        number, digest = encoded.part.number, None
        if encoded.codes is not None:
            content = io.BytesIO()
            np.save(content, encoded.codes)
            write_whole(self._folder / _codes(number), content.getvalue())
            digest = digest_of(self._folder / _codes(number))
        shard = _Shard(
            codes=digest,
            numbers=encoded.numbers,
            labels=[list(each) for each in encoded.labels],
            counts=encoded.counts.tolist(),
            skipped=encoded.skipped,
            size=encoded.size,
            first=encoded.first,
        )
        write_json(self._folder / _record(number), to_record(shard), digest=True)
        self._whole.add(number)

    def finish(self, images: Images, codec: Codec) -> None:
        """Write labels, counts, the codec and the manifest: the folder is whole then.

        Raises:
            NoneReadable: no image can be read.
            SmaltiError: one could be read in one view and not in another.
        """
        if not self.is_finished:
            self._describe(images, codec)
        for part in self.parts:
            (self._folder / _record(part.number)).unlink(missing_ok=True)

    def _describe(self, images: Images, codec: Codec) -> None:
        begun, digests = self._begun, dict[str, str]()
        a_view = len(self.parts) // begun.views
        counts = np.zeros(codec.codebooks.shape[:2], dtype=np.int64)
        encoded, width, skipped = 0, 1, []
        for part in self.parts:
            shard = self._shard(part.number)
            if shard.codes is not None:
                digests[_codes(part.number)] = shard.codes
            counts += np.array(shard.counts)
            width = max(width, *map(len, shard.labels), 0)
            if part.view == 0:
                encoded += len(shard.numbers)
                skipped += shard.skipped
            elif shard.numbers != self._shard(part.number % a_view).numbers:
                raise SmaltiError(
                    f"{begun.source}: images {part.start} to {part.stop} could not all be read in each view; see that "
                    "the files do not change, and begin again without --resume."
                )
        if self._size is None:
            raise NoneReadable(begun.source, skipped)
        copies = 2 if begun.flips else 1
        labels = (self._shard(part.number).labels for part in self.parts if _codes(part.number) in digests)
        self._write_labels(labels, encoded * begun.views, copies, width)
        with written(self._folder / COUNTS):
            np.save(self._folder / COUNTS, counts)
        codec.save_pretrained(self._folder / "codec")
        manifest = Manifest(
            source=begun.source,
            source_fingerprint=begun.source_fingerprint,
            crop=begun.crop,
            images=encoded,
            views=begun.views,
            flips=begun.flips,
            size=self._size,
            classes=images.classes,
            codec=begun.codec,
            codec_fingerprint=begun.codec_fingerprint,
            skipped=skipped,
            told=images.told,
            shards=list(digests),
            digests=digests | digests_of(self._folder, [LABELS, COUNTS]),
        )
        write_record(self._folder / _MANIFEST, **to_record(manifest))

    def _found(self) -> Iterator[int]:
        """The shards that are there and what was written."""
        for part in self.parts:
            record, codes = self._folder / _record(part.number), self._folder / _codes(part.number)
            if record.is_file():
                try:
                    shard = self._shard(part.number)
                except SmaltiError:
                    self.damaged.append(record.name)
                    continue
                if shard.codes and not (codes.is_file() and digest_of(codes) == shard.codes):
                    self.damaged.append(codes.name)
                    continue
                self._size = self._size or shard.size
                yield part.number

    def _shard(self, number: int) -> _Shard:
        path = self._folder / _record(number)
        return from_record(_Shard, read_json(path), path)

    def _write_labels(self, labels: Iterator[list[list[int]]], images: int, copies: int, width: int) -> None:
        """Write labels a shard at a time: `width` of them an image, of which the last are -1 where it has fewer."""
        shape = (images * copies,) if width == 1 else (images * copies, width)
        header: dict[str, Any] = {"descr": "<i8", "fortran_order": False, "shape": shape}
        with written(self._folder / LABELS), (self._folder / LABELS).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for some in labels:
                filled = [[*each, *[NO_LABEL] * (width - len(each))] for each in some]
                file.write(np.repeat(np.array(filled, dtype="<i8"), copies, axis=0).tobytes())


def write_manifest_of_parts(
    folder: Path, images: Images, names: Sequence[str], skipped: Sequence[Sequence[str]]
) -> None:
    """Write what is known of images of several sizes, whose latents lie in folders of these names.

    Beside what these have skipped there are images of sizes of which none could be read.
    """
    parts = [Manifest.read(folder / name) for name in names]
    manifest = replace(
        parts[0],
        source_fingerprint=images.fingerprint,
        crop=images.settings,
        images=sum(part.images for part in parts),
        skipped=[*(each for part in parts for each in part.skipped), *map(list, skipped)],
        told=images.told,
        shards=[],
        parts=list(names),
        digests={},
    )
    write_record(folder / _MANIFEST, **to_record(manifest))


def whole_in(folder: Path) -> int:
    """How many shards are whole in a folder that may not be."""
    return len(list(folder.glob("codes-*.npy" if (folder / _MANIFEST).is_file() else "codes-*.json")))


def _codes(number: int) -> str:
    return f"codes-{number:05d}.npy"


def _record(number: int) -> str:
    return f"codes-{number:05d}.json"
