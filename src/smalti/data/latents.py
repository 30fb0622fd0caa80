"""Encoded images on disk: sharded arrays of integers, memory-mapped, with a manifest that is written last."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from smalti.codec import Codec, CodecSpec
from smalti.data.arrays import mapped
from smalti.data.images import Images
from smalti.data.manifest import Manifest
from smalti.digests import digests_of, require_digests
from smalti.errors import SmaltiError, require_at_least
from smalti.files import beside, new_folder, write_record, written
from smalti.iterables import batched
from smalti.progress import Progress
from smalti.records import to_record

_BATCH = 64
_SHARD_BYTES = 2**26
_NO_LABEL = -1
_LABELS, _COUNTS = "labels.npy", "counts.npy"


class Latents:
    """The latents of a set of images, as `encode_images` wrote them.

    Rows are ordered by view, then image, then [as it is, flipped]. Nothing is read before it is asked for, unless they
    are to be `resident` on a device.
    """

    def __init__(
        self, folder: str | Path, resident: torch.device | str | None = None, classes: Sequence[str] | None = None
    ):
        """Open a folder of latents; `resident` is a device that is to hold them all, as few bytes as they are on disk.

        `classes` are the names that labels are to index, instead of those that their photos have.

        Raises:
            SmaltiError: the folder is missing, was left unfinished, was damaged, or comes from a later version.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SmaltiError(f"{folder}: there is no such folder; `smalti encode` makes one.")
        self.manifest = Manifest.read(self.folder)
        self._unread = set(range(len(self.manifest.shards)))  # shards that are still to be compared with their digests
        self._require_whole(_LABELS, _COUNTS)
        try:
            self._paths = [beside(self.folder, name) for name in self.manifest.shards]
            self._shards = [mapped(path) for path in self._paths]
            self._lengths = [path.stat().st_size for path in self._paths]
            labels, counts = (mapped(self.folder / name) for name in (_LABELS, _COUNTS))
            self._sizes = self._require_shapes(labels, counts)
            self.labels, self.counts = torch.from_numpy(labels.copy()), torch.from_numpy(counts.copy())
        except (SmaltiError, MemoryError):
            raise
        except Exception as error:  # numpy reads headers as Python, which may fail in any way
            raise SmaltiError(f"{folder}: the latents are damaged ({error}); encode the images again.") from error
        self._ends = np.cumsum([len(shard) for shard in self._shards])
        self._resident = None if resident is None else self._all_on(torch.device(resident))
        self._require_agreement()
        own = self.manifest.classes
        self.classes = own if classes is None else list(classes)
        """Names of the classes that labels index; empty without labels."""
        if self.classes != own:
            index = torch.tensor([*(self.classes.index(name) for name in own), _NO_LABEL])
            self.labels = index[self.labels]  # that of no label is the last

    def __reduce__(self) -> tuple[type["Latents"], tuple[Path, torch.device | None, list[str]]]:
        """Another process opens the folder itself."""
        return Latents, (self.folder.absolute(), self._device, self.classes)

    @property
    def _device(self) -> torch.device | None:
        return None if self._resident is None else self._resident.device

    def of_classes(self, classes: Sequence[str]) -> "Latents":
        """The same, with labels that index other names, among which all of theirs are."""
        return self if list(classes) == self.classes else Latents(self.folder, self._device, classes)

    def _require_whole(self, *names: str) -> None:
        """Refuse files that are not what was written, where the manifest says what that was."""
        known = self.manifest.digests
        require_digests(self.folder, {name: known[name] for name in names if name in known})

    def _require_shapes(self, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Refuse arrays of other shapes or types than codec and size say; return the codewords of each channel.

        Raises:
            ValueError: so they are.
        """
        spec = CodecSpec.parse(self.manifest.codec)
        shape = (len(spec.codewords), *spec.grid(*self.manifest.size))
        kind = _kind_of(spec)
        if not self._shards or any(shard.dtype != kind or shard.shape[1:] != shape for shard in self._shards):
            raise ValueError(f"its codes are not {kind} of shape (N, {', '.join(map(str, shape))})")
        if labels.dtype != np.int64 or labels.ndim != 1:
            raise ValueError("its labels are no whole numbers, one a latent")
        if counts.dtype != np.int64 or counts.shape != (len(spec.codewords), max(spec.codewords)):
            raise ValueError("its counts are not of the codewords of its codec")
        return np.array(spec.codewords)[:, None, None]

    def _require_codewords(self, codes: np.ndarray) -> None:
        """Refuse codes that no codeword has.

        Raises:
            SmaltiError: so they are.
        """
        if (codes >= self._sizes).any():
            raise SmaltiError(
                f"{self.folder}: holds codes that its codec has no codewords for; encode the images again."
            )

    def _require_agreement(self) -> None:
        """Refuse a manifest that says something else than the arrays do.

        Raises:
            SmaltiError: so it does.
        """
        manifest, rows = self.manifest, len(self)
        expected = manifest.images * manifest.views * (2 if manifest.flips else 1)
        least, most = (int(self.labels.min()), int(self.labels.max())) if len(self.labels) else (_NO_LABEL, _NO_LABEL)
        for wrong, said in (
            (len(self.labels) != rows, f"{rows} latents and {len(self.labels)} labels"),
            (rows != expected, f"{rows} latents where its manifest makes them {expected}"),
            (least < _NO_LABEL or most >= len(manifest.classes), "labels of classes that it does not name"),
        ):
            if wrong:
                raise SmaltiError(f"{self.folder}: holds {said}; encode the images again.")

    def _all_on(self, device: torch.device) -> Integer[Tensor, "N c h w"]:
        """All latents on a device."""
        self._require_whole(*self.manifest.shards)
        kind = np.uint8 if self._shards[0].dtype == np.uint8 else np.int32  # PyTorch does little with uint16
        for shard in self._shards:
            self._require_codewords(shard)
        return torch.cat([torch.from_numpy(shard.astype(kind)).to(device) for shard in self._shards])

    def __len__(self) -> int:
        """Rows: images x views x (2 with flipped copies)."""
        return int(self._ends[-1])

    def __getitem__(self, rows: Int64[np.ndarray, " B"]) -> Int64[Tensor, "B c h w"]:
        """The latents of some rows, on the CPU unless they are resident elsewhere."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(rows).to(self._resident.device)].long()
        shard = np.searchsorted(self._ends, rows, side="right")
        for new in self._unread.intersection(shard.tolist()):
            self._require_whole(self.manifest.shards[new])
            self._unread.discard(new)
        for number in set(shard.tolist()):
            if self._paths[number].stat().st_size < self._lengths[number]:  # to read on would end the process
                raise SmaltiError(f"{self._paths[number]}: was cut while it was in use; encode the images again.")
        inside = rows - np.concatenate([[0], self._ends[:-1]])[shard]
        codes = np.stack([self._shards[s][i] for s, i in zip(shard, inside, strict=True)])
        self._require_codewords(codes)
        return torch.from_numpy(codes.astype(np.int64))

    def image_of(self, rows: Int64[Tensor, " B"]) -> Int64[Tensor, " B"]:
        """Which image each row is of; views and flipped copies of one share it."""
        return rows // (2 if self.manifest.flips else 1) % self.images

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches, (h, w)."""
        return self._shards[0].shape[2], self._shards[0].shape[3]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels, (H, W)."""
        return self.manifest.size

    @property
    def images(self) -> int:
        """Images that were encoded, each counted once."""
        return self.manifest.images

    def codec(self) -> Codec:
        """The codec that made these latents and reads them.

        Raises:
            SmaltiError: it is missing, damaged, or not the one that made them.
        """
        codec = Codec.from_pretrained(self.folder / "codec")
        if codec.fingerprint != self.manifest.codec_fingerprint:
            raise SmaltiError(f"{self.folder}: the codec there did not make these latents; encode the images again.")
        return codec


def encode_images(
    images: Images, codec: Codec, out: str | Path, *, views: int = 1, flips: bool = True, progress: bool = True
) -> Latents:
    """Encode every image and write a folder of latents, which appears under its name once it is whole.

    `views` passes are made over the images (another random crop each, where these are cropped at random). With `flips`
    each is encoded mirrored as well: flipping a latent would not flip the patches that its indices stand for.

    Raises:
        SmaltiError: `out` is not empty, or the images differ in size or do not fit the codec.
    """
    require_at_least(1, views=views)
    with new_folder(out) as aside:
        writer = _ShardWriter(aside, codec)
        names: set[int] = set()
        size: tuple[int, int] | None = None
        for view in range(views):
            pictures = Progress(
                images.pictures(view),
                desc="encoding" if views == 1 else f"encoding, view {view + 1} of {views}",
                total=len(images),
                unit="image",
                disable=not progress,
            )
            for batch in batched(pictures, _BATCH):
                for picture in batch:
                    height, width = picture.pixels.shape[1:]
                    size = size or (height, width)
                    if (height, width) != size:
                        raise SmaltiError(
                            f"{picture.name} is {width}x{height} pixels and the images before it {size[1]}x{size[0]}; "
                            "give a size that all are cropped to."
                        )
                pixels = torch.stack([picture.pixels for picture in batch])
                labels = [_NO_LABEL if picture.label is None else picture.label for picture in batch]
                writer.add(codec, pixels, labels, flips)
                names.update(picture.number for picture in batch)
        writer.finish()
        codec.save_pretrained(aside / "codec")
        assert size is not None  # there is no image only where `pictures` raises
        manifest = Manifest(
            source=images.source,
            source_fingerprint=images.fingerprint,
            crop=images.settings,
            images=len(names),
            views=views,
            flips=flips,
            size=size,
            classes=images.classes,
            codec=str(codec.spec),
            codec_fingerprint=codec.fingerprint,
            skipped=[list(entry) for entry in images.skipped],
            told=images.told,
            shards=writer.names,
            digests=digests_of(aside, [*writer.names, _LABELS, _COUNTS]),
        )
        write_record(aside / "manifest.json", **to_record(manifest))
    return Latents(out)


def _kind_of(spec: CodecSpec) -> np.dtype:
    """The integers that codes are kept as."""
    return np.dtype(np.uint8 if max(spec.codewords) <= 256 else np.uint16)


class _ShardWriter:
    """Collects latents and writes them in shards of at most 64 MiB."""

    def __init__(self, folder: Path, codec: Codec):
        self.folder = folder
        self.dtype = _kind_of(codec.spec)
        self.counts = np.zeros(codec.codebooks.shape[:2], dtype=np.int64)
        self.names: list[str] = []
        self.labels: list[int] = []
        self.pending: list[np.ndarray] = []

    def add(self, codec: Codec, pixels: Integer[Tensor, "B C H W"], labels: list[int], flips: bool) -> None:
        versions = [pixels, pixels.flip(3)] if flips else [pixels]
        codes = torch.stack([codec.encode(version) for version in versions], dim=1).flatten(0, 1)
        self.labels.extend(label for label in labels for _ in versions)
        for channel, used in enumerate(codes.transpose(0, 1).flatten(1)):
            self.counts[channel] += np.bincount(used.numpy(), minlength=self.counts.shape[1])
        self.pending.append(codes.numpy().astype(self.dtype))
        if sum(array.nbytes for array in self.pending) >= _SHARD_BYTES:
            self._write()

    def finish(self) -> None:
        if self.pending:
            self._write()
        self._save(_LABELS, np.array(self.labels, dtype=np.int64))
        self._save(_COUNTS, self.counts)

    def _save(self, name: str, array: np.ndarray) -> None:
        with written(self.folder / name):
            np.save(self.folder / name, array)

    def _write(self) -> None:
        name = f"codes-{len(self.names):05d}.npy"
        self._save(name, np.concatenate(self.pending))
        self.names.append(name)
        self.pending = []
