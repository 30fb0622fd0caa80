"""Whether a model gives back its training pictures: what in them is nearest to its samples."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from smalti.codec import Codec
from smalti.data import Latents
from smalti.metrics import nearest

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
    rows: list[UInt8[Tensor, "m C H W"]]
    """Of the samples that are nearest to a training picture, each sample and its neighbours."""
    distances: list[float]
    """Of these samples, to the first neighbour."""
    source: str

    @property
    def figures(self) -> dict[str, float | str]:
        """The numbers alone."""
        return {"generated": self.generated, "training": self.training, "source": self.source}


def training_pictures(
    model: Path, codec: Codec, photos: Iterable[Tensor]
) -> tuple[UInt8[Tensor, "N C H W"], Int64[Tensor, " N"], str]:
    """Training pictures, the image that each belongs to (flips and views of one share it), and what they are.

    What the model saw, if its latents are still there; else the reference photos.
    """
    if (model / "latents" / "manifest.json").is_file():
        latents = Latents(model / "latents")
        if latents.manifest["codec_fingerprint"] == codec.fingerprint:
            rows = np.arange(min(len(latents), _MOST))
            pictures = [
                codec.decode(latents[part].to(codec.codebooks.device), latents.size).cpu()
                for part in np.array_split(rows, -(-len(rows) // _BATCH))
            ]
            return torch.cat(pictures), latents.image_of(torch.from_numpy(rows)), "the latents it was trained on"
    kept = torch.stack(list(islice(photos, _MOST)))
    return kept, torch.arange(len(kept)), "the reference photos, since its own latents are not there"


def find_copies(
    samples: UInt8[Tensor, "B C H W"],
    training: UInt8[Tensor, "N C H W"],
    image: Int64[Tensor, " N"],
    source: str,
) -> Memorisation:
    """Look for the training pictures nearest to samples, and to training pictures of other images."""
    small_samples, small_training = _small(samples), _small(training)
    distances, positions = nearest(small_samples, small_training, min(_NEIGHBOURS, len(training)))
    asked = torch.arange(len(training))[:: max(1, len(training) // _ASKED)]
    copies = int(torch.bincount(image).max())  # of one image: these come first
    near, where = nearest(small_training[asked], small_training, min(copies + 1, len(training)))
    other = near.masked_fill(image[where] == image[asked][:, None], float("inf")).amin(1)
    closest = distances[:, 0].argsort()[:_SHOWN]
    return Memorisation(
        generated=float(distances[:, 0].median()),
        training=float(other.median()),
        rows=[torch.cat([samples[i][None], training[positions[i]]]) for i in closest],
        distances=[float(distances[i, 0]) for i in closest],
        source=source,
    )


def _small(pictures: UInt8[Tensor, "N C H W"]) -> Float[Tensor, "N d"]:
    """Pictures of 16x16 pixels as vectors, scaled so that distances are root mean squares."""

    def batches() -> Iterator[Tensor]:
        for part in pictures.split(_BATCH):
            yield interpolate(part.float(), (_SIDE, _SIDE), mode="area").flatten(1)

    flat = torch.cat(list(batches()))
    return flat / flat.shape[1] ** 0.5
