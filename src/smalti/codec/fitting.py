"""What a codec is fitted to: codebooks of patches drawn from images, sorted, and how often each codeword is used."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from smalti.codec.ordering import ordinal_order
from smalti.codec.patch_sample import sample_patches
from smalti.codec.quantizers import fit_codebooks
from smalti.codec.search import search
from smalti.codec.spec import CodecSpec
from smalti.errors import SmaltiError
from smalti.pixels import PixelFormat
from smalti.progress import Progress


@dataclass(frozen=True, slots=True)
class Fitted:
    """The tables of a codec, a codebook a latent channel."""

    codebooks: list[Float[Tensor, "_ n"]]
    """Sorted along the first principal component."""
    rotations: Float[Tensor, "C n n"]
    usage: list[Float[Tensor, " _"]]
    """How often each codeword was chosen for the patches of the fit."""
    share: float
    """Of all patches in the images, those that were fitted on."""


def fit_tables(
    images: Iterable[Tensor],
    spec: CodecSpec,
    pixel_format: PixelFormat,
    *,
    patches: int,
    beam: int,
    seed: int,
    progress: bool = True,
) -> Fitted:
    """Fit the codebooks of every plane on at most `patches` patches of the images.

    Raises:
        SmaltiError: there are fewer patches than codewords, or an image is of another format.
    """
    sample, total = sample_patches(images, pixel_format, spec.patch, patches, seed, progress)
    taken = sample.shape[1]
    if taken < max(spec.codewords):
        raise SmaltiError(
            f"{taken} of the {total} patches in the images were taken, fewer than the {max(spec.codewords)} codewords "
            f"of {spec}; give more images, more patches or fewer bits, or take a fitted codec, such as photo-high."
        )
    # (C, N, n) as one image of N by n pixels: colour conversion does not care where a pixel stands.
    vectors = pixel_format.to_planes(pixel_format.levels(sample[None]))[0].contiguous()
    fitted = [
        fit_codebooks(vectors[plane].numpy(), spec.quantizer, spec.stages[plane], spec.index_bits[plane], beam, seed)
        for plane in Progress(range(spec.planes), desc=f"fitting {spec}", unit="plane", disable=not progress)
    ]
    rotations = torch.from_numpy(np.stack([rotation for _, rotation in fitted]))
    by_plane = [torch.from_numpy(codebooks) for codebooks, _ in fitted]
    by_plane = [torch.stack([codebook[ordinal_order(codebook)] for codebook in codebooks]) for codebooks in by_plane]
    codes = search(spec.quantizer, vectors, by_plane, rotations, beam)
    return Fitted(
        codebooks=[codebook for codebooks in by_plane for codebook in codebooks],
        rotations=rotations,
        usage=[
            torch.bincount(used, minlength=size).float() for used, size in zip(codes.T, spec.codewords, strict=True)
        ],
        share=patches / total,
    )
