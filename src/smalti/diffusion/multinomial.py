"""Multinomial diffusion on the codes (ref 25), which D3PM (ref 24) calls uniform."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.special import ndtr

from smalti.codec import Codec
from smalti.diffusion.discrete import Discrete
from smalti.diffusion.draws import uniform
from smalti.diffusion.level import DiscreteLevel
from smalti.diffusion.process import LogitsSettings
from smalti.mixins import register_to_config


@dataclass(frozen=True, kw_only=True)
class MultinomialSettings(LogitsSettings):
    """Indices that are replaced by others."""

    kind: ClassVar[str] = "multinomial"

    def build(self, codec: Codec, counts: Int64[Tensor, "c K"] | None = None) -> "Multinomial":
        """The process for a codec's latents."""
        return Multinomial.of(codec, self.coordinates, self.k, counts, **self.own())


class Multinomial(Discrete):
    """A share of the indices is replaced by any index, and the network tells what was there.

    The network sees the coordinates of the indices and is not told which are still true: the loss is the cross-entropy
    over all of them, the part of D3PM's loss that predicts the clean latent.
    """

    default_scheduler = "multinomial"

    @register_to_config
    def __init__(self, channels: int, codewords: int, k: int, codec_fingerprint: str):
        super().__init__(channels, codewords, k)

    @property
    def noise_channels(self) -> int:
        """Channels of noise: two numbers an index, whether it is replaced, and by what."""
        return 2 * self.coordinates.channels

    def begin(self, noise: Float[Tensor, "B ck h w"], scale: float) -> Int64[Tensor, "B c h w"]:
        """Any indices."""
        del scale
        return uniform(ndtr(noise[:, : self.coordinates.channels]), self.coordinates.sizes)

    def corrupt(
        self, z: Int64[Tensor, "B c h w"], level: DiscreteLevel, noise: Float[Tensor, "B c2 h w"]
    ) -> Int64[Tensor, "B c h w"]:
        """The indices, with any index where the first half of the noise lies among its lowest share."""
        whether, what = noise.chunk(2, dim=1)
        return torch.where(self.replaced(level, whether), uniform(ndtr(what), self.coordinates.sizes), z)

    def inputs(
        self, state: Int64[Tensor, "B c h w"], previous: Float[Tensor, "B ck h w"] | None = None
    ) -> Float[Tensor, "B ck h w"]:
        """The coordinates of the indices."""
        del previous
        return self.coordinates.embed(state)

    def asked(self, state: Int64[Tensor, "B c h w"]) -> Bool[Tensor, "B c h w"]:
        """Everywhere."""
        return torch.ones_like(state, dtype=torch.bool)
