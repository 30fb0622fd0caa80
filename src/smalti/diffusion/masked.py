"""Masked (absorbing) diffusion on the codes (MaskGIT, Chang et al. 2022; MDLM, Sahoo et al. 2024; D3PM, ref 24)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from smalti.codec import Codec
from smalti.diffusion.discrete import Discrete
from smalti.diffusion.level import DiscreteLevel
from smalti.diffusion.process import LogitsSettings
from smalti.mixins import register_to_config


@dataclass(frozen=True, kw_only=True)
class MaskedSettings(LogitsSettings):
    """Indices that are replaced by masks."""

    kind: ClassVar[str] = "masked"

    def build(self, codec: Codec, counts: Int64[Tensor, "c K"] | None = None) -> "Masked":
        """The process for a codec's latents."""
        return Masked.of(codec, self.coordinates, self.k, counts, **self.own())


class Masked(Discrete):
    """A share of the indices is replaced by a mask, and the network tells what was there.

    A state is indices (B, c, h, w), with K where the mask is. The network sees the coordinates of the indices, 0 where
    masked, and a flag a channel that says where; the output is logits (B, c, K, h, w). The loss is the cross-entropy
    over what is masked: by the mean over it, which weighs times as the bound on the likelihood of MDLM does.
    """

    default_scheduler = "unmask"

    @register_to_config
    def __init__(self, channels: int, codewords: int, k: int, codec_fingerprint: str):
        super().__init__(channels, codewords, k)

    @property
    def mask(self) -> int:
        """The index that stands for a mask: one more than any codeword's."""
        return self.coordinates.codewords

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: coordinates and flags."""
        return self.state_channels + self.coordinates.channels

    def begin(self, noise: Float[Tensor, "B ck h w"], scale: float) -> Int64[Tensor, "B c h w"]:
        """Nothing but masks."""
        del scale
        return torch.full_like(noise[:, : self.coordinates.channels], self.mask, dtype=torch.int64)

    def corrupt(
        self, z: Int64[Tensor, "B c h w"], level: DiscreteLevel, noise: Float[Tensor, "B c h w"]
    ) -> Int64[Tensor, "B c h w"]:
        """The indices, with a mask where the noise lies among its lowest share."""
        return z.masked_fill(self.replaced(level, noise), self.mask)

    def inputs(
        self, state: Int64[Tensor, "B c h w"], previous: Float[Tensor, "B ck h w"] | None = None
    ) -> Float[Tensor, "B in h w"]:
        """Coordinates, 0 where masked, and the flags, which are 1 there."""
        del previous
        masked = self.asked(state)
        known = self.coordinates.embed(state.masked_fill(masked, 0)).unflatten(1, (self.coordinates.channels, -1))
        known = known.masked_fill(masked[:, :, None], 0).flatten(1, 2)
        return torch.cat([known, masked.float()], dim=1)

    def noisier(
        self,
        state: Int64[Tensor, "B c h w"],
        level: DiscreteLevel,
        later: DiscreteLevel,
        noise: Float[Tensor, "B c h w"],
        free: Bool[Tensor, "h w"],
    ) -> Int64[Tensor, "B c h w"]:
        """More masks, until they are the later share of what is free; the level of a state is its share of all."""
        return self._replaced_to(state, level.share / free.float().mean(), later.share, noise)

    def put_back(
        self, state: Int64[Tensor, "B c h w"], z: Int64[Tensor, "B c h w"], free: Bool[Tensor, "h w"]
    ) -> Int64[Tensor, "B c h w"]:
        """Known codes are never masked: a mask says nothing, and the network takes any number of them."""
        return torch.where(free, state, z)

    def asked(self, state: Int64[Tensor, "B c h w"]) -> Bool[Tensor, "B c h w"]:
        """Where the mask is."""
        return state == self.mask
