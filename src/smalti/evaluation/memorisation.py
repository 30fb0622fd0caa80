"""Whether a model gives back its training pictures: what in them is nearest to its samples."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from smalti.codec import Codec
from smalti.data import AnyLatents, open_latents
from smalti.iterables import batched
from smalti.metrics import nearest
from smalti.model_folder import ModelFolder
from smalti.report import Pictures

_SIDE = 16  # pixels that pictures are compared at: a copy stays a copy, and fine grain does not count
_SHOWN = 8
_NEIGHBOURS = 3
_MOST = 50_000  # training pictures looked through
_ASKED = 1_000  # training pictures whose own neighbours are looked for
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Memorisation:
    """Distances to the nearest training picture, in grey levels (root mean square, at 16x16 pixels)."""

    generated: float
    """Median over the samples."""
    training: float
    """Median over training pictures, to the nearest other: what pictures that are no copies have."""
    rows: list[list[UInt8[Tensor, "_ _ _"]]]
    """Of the samples that are nearest to a training picture, each sample and its neighbours."""
    distances: list[float]
    """Of these samples, to the first neighbour."""
    source: str
    held_out: float | None = None
    """Median over photos that were held out of training: what pictures of this kind have that were never seen."""
    nearer: float | None = None
    """Share of the samples that are nearer than that: about a half where nothing is learned by heart."""

    @property
    def figures(self) -> dict[str, float | str | None]:
        """The numbers alone."""
        names = ("generated", "training", "source", "held_out", "nearer")
        return {name: getattr(self, name) for name in names}


class TrainingPictures:
    """What a model saw, if its latents are still there; else the reference photos. Small vectors are kept, no pictures.

    `vectors` (N, d) are the pictures at 16x16 pixels, `image` (N,) the image that each belongs to: flips and views of
    one share it.
    """

    def __init__(self, model: ModelFolder, codec: Codec, photos: Iterable[Tensor]):
        self._codec = codec
        self._photos = photos
        self._latents = _latents_of(model, codec)
        if self._latents is None:
            self.vectors = torch.cat([_small(batch) for batch in batched(islice(photos, _MOST), _BATCH)])
            self.image = torch.arange(len(self.vectors))
            self.source = "the reference photos, since its own latents are not there"
            return
        # Spread over all: classes and views come one after the other.
        total = len(self._latents)
        self._rows = np.linspace(0, total - 1, min(total, _MOST)).astype(np.int64)
        parts = np.array_split(self._rows, -(-len(self._rows) // _BATCH))
        self.vectors = torch.cat([_small(self._decoded(part)) for part in parts])
        self.image = self._latents.image_of(torch.from_numpy(self._rows))
        share = "" if total == len(self._rows) else f"{len(self._rows):,} of "
        self.source = f"{share}the latents it was trained on"

    def pictures(self, positions: list[int]) -> list[UInt8[Tensor, "_ _ _"]]:
        """The pictures at some positions of `vectors`."""
        if self._latents is not None:
            return self._decoded(self._rows[positions])
        photos = enumerate(islice(self._photos, max(positions) + 1))
        found = {number: photo for number, photo in photos if number in positions}
        return [found[position] for position in positions]

    def _decoded(self, rows: np.ndarray) -> list[UInt8[Tensor, "_ _ _"]]:
        assert self._latents is not None
        return decoded(self._latents, self._codec, rows)


def find_copies(
    samples: Pictures,
    training: TrainingPictures,
    held_out: Pictures | None = None,
) -> Memorisation:
    """Look for the training pictures nearest to samples, to training pictures of other images, and to those held out.

    Pictures that are held out are given as the codec leaves them, as samples are.
    """
    vectors = _small(samples)
    copies = int(torch.bincount(training.image).max())  # of one image: these come first
    distances, positions = nearest(vectors, training.vectors, min(_NEIGHBOURS * copies, len(training.vectors)))
    asked = torch.arange(len(training.vectors))[:: max(1, len(training.vectors) // _ASKED)]
    near, where = nearest(training.vectors[asked], training.vectors, min(copies + 1, len(training.vectors)))
    other = near.masked_fill(training.image[where] == training.image[asked][:, None], float("inf")).amin(1)
    closest = distances[:, 0].argsort()[:_SHOWN].tolist()
    unseen = None
    if held_out is not None:
        unseen = nearest(_small(held_out), training.vectors, 1)[0][:, 0].median()
    return Memorisation(
        generated=float(distances[:, 0].median()),
        training=float(other.median()),
        rows=[[samples[i], *training.pictures(_of_others(positions[i], training.image))] for i in closest],
        distances=[float(distances[i, 0]) for i in closest],
        source=training.source,
        held_out=None if unseen is None else float(unseen),
        nearer=None if unseen is None else float((distances[:, 0] < unseen).float().mean()),
    )


def _of_others(positions: Int64[Tensor, " k"], image: Int64[Tensor, " N"]) -> list[int]:
    """The first neighbours, one of each image."""
    first: dict[int, int] = {}
    for position in positions.tolist():
        first.setdefault(int(image[position]), position)
    return list(first.values())[:_NEIGHBOURS]


def decoded(latents: AnyLatents, codec: Codec, rows: np.ndarray) -> list[UInt8[Tensor, "_ _ _"]]:
    """The pictures of some rows of latents, counted through all parts, each of its own size."""
    pictures: dict[int, Tensor] = {}
    begin = 0
    for part in latents.parts:
        own = rows[(rows >= begin) & (rows < begin + len(part))]
        if len(own):
            z = part[own - begin].to(codec.codebooks.device)
            pictures |= zip(own.tolist(), codec.decode(z, part.size).cpu(), strict=True)
        begin += len(part)
    return [pictures[row] for row in rows.tolist()]


def _small(pictures: Pictures) -> Float[Tensor, "N d"]:
    """Pictures of 16x16 pixels as vectors, scaled so that distances are root mean squares."""
    small = [interpolate(picture[None].float(), (_SIDE, _SIDE), mode="area") for picture in pictures]
    flat = torch.cat(small).flatten(1)
    return flat / flat.shape[1] ** 0.5


def _latents_of(model: ModelFolder, codec: Codec) -> AnyLatents | None:
    if not model.has_latents:
        return None
    latents = open_latents(model.latents)
    return latents if latents.manifest.codec_fingerprint == codec.fingerprint else None
