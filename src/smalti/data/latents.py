"""Encoded images on disk: sharded arrays of integers, memory-mapped, and their manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from smalti.codec import Codec, CodecSpec
from smalti.data.arrays import mapped
from smalti.data.manifest import Manifest
from smalti.digests import require_digests
from smalti.errors import SmaltiError
from smalti.files import beside

LABELS, COUNTS = "labels.npy", "counts.npy"
NO_LABEL = -1
_AT_A_TIME = 2**20  # labels that are looked through


class Latents:
    """The latents of a set of images, as `smalti.encode_images` wrote them.

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
        if self.manifest.parts:
            raise SmaltiError(f"{folder}: holds latents of several sizes; open them by `smalti.open_latents`.")
        self._unread = set(range(len(self.manifest.shards)))  # shards that are still to be compared with their digests
        self._require_whole(LABELS, COUNTS)
        try:
            self._paths = [beside(self.folder, name) for name in self.manifest.shards]
            self._shards = [mapped(path) for path in self._paths]
            labels, counts = (mapped(self.folder / name) for name in (LABELS, COUNTS))
            self._sizes = self._require_shapes(labels, counts)
            self._labels = labels.reshape(len(labels), -1)
            self._lengths = {path: path.stat().st_size for path in (*self._paths, self.folder / LABELS)}
            self.counts = torch.from_numpy(counts.copy())
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
        self._label_of = torch.tensor([*(self.classes.index(name) for name in own), NO_LABEL])  # of no label the last

    def __reduce__(self) -> tuple[type["Latents"], tuple[Path, torch.device | None, list[str]]]:
        """Another process opens the folder itself."""
        return Latents, (self.folder.absolute(), self._device, self.classes)

    @property
    def _device(self) -> torch.device | None:
        return None if self._resident is None else self._resident.device

    def of_classes(self, classes: Sequence[str]) -> "Latents":
        """The same, with labels that index other names, among which all of theirs are."""
        return self if list(classes) == self.classes else Latents(self.folder, self._device, classes)

    @property
    def parts(self) -> "list[Latents]":
        """Those of each size: these alone."""
        return [self]

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
        kind = kind_of(spec)
        if not self._shards or any(shard.dtype != kind or shard.shape[1:] != shape for shard in self._shards):
            raise ValueError(f"its codes are not {kind} of shape (N, {', '.join(map(str, shape))})")
        if labels.dtype != np.int64 or labels.ndim not in (1, 2):
            raise ValueError("its labels are no whole numbers, one or some a latent")
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
        manifest, rows, labels = self.manifest, len(self), self._labels
        expected = manifest.images * manifest.views * (2 if manifest.flips else 1)
        unknown = empty = False
        for some in (labels[start : start + _AT_A_TIME] for start in range(0, len(labels), _AT_A_TIME)):
            none = some == NO_LABEL
            unknown |= bool(((some < NO_LABEL) | (some >= len(manifest.classes))).any())
            empty |= bool((none[:, :-1] & ~none[:, 1:]).any())
        for wrong, said in (
            (len(labels) != rows, f"{rows} latents and {len(labels)} labels"),
            (rows != expected, f"{rows} latents where its manifest makes them {expected}"),
            (unknown, "labels of classes that it does not name"),
            (empty, "labels after an empty place"),
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
        self._require_uncut(*(self._paths[number] for number in set(shard.tolist())))
        inside = rows - np.concatenate([[0], self._ends[:-1]])[shard]
        codes = np.stack([self._shards[s][i] for s, i in zip(shard, inside, strict=True)])
        self._require_codewords(codes)
        return torch.from_numpy(codes.astype(np.int64))

    def _require_uncut(self, *paths: Path) -> None:
        """Refuse files that became shorter: to read where they ended would end the process."""
        for path in paths:
            if path.stat().st_size < self._lengths[path]:
                raise SmaltiError(f"{path}: was cut while it was in use; encode the images again.")

    def labels_of(self, rows: Int64[np.ndarray, " B"]) -> Int64[Tensor, "B L"]:
        """Numbers of the classes of some rows, the first of them first; -1 is none."""
        self._require_uncut(self.folder / LABELS)
        return self._label_of[torch.from_numpy(self._labels[rows])]

    @property
    def labels(self) -> Int64[Tensor, "N L"]:
        """Those of all rows."""
        return self.labels_of(np.arange(len(self)))

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


def kind_of(spec: CodecSpec) -> np.dtype:
    """The integers that codes are kept as."""
    return np.dtype(np.uint8 if max(spec.codewords) <= 256 else np.uint16)
