"""Masked (absorbing) diffusion on the codes (MaskGIT, Chang et al. 2022; MDLM, Sahoo et al. 2024; D3PM, ref 24)."""

import torch
from diffusers.configuration_utils import register_to_config
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.special import ndtr

from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.process import TRAINING_TIMESTEPS, DecodeSoft, Generators, Process
from smalti.files import SmaltiError


class Masked(Process):
    """Indices are replaced by a mask, each with probability (t + 1) / T, and the network tells what was there.

    A state is indices (B, c, h, w), with K where the mask is. The network sees the coordinates of the indices, 0 where
    masked, and a flag a channel that says where; the output is logits (B, c, K, h, w). The loss is the cross-entropy
    over what is masked: by the mean over it, which weighs times as the bound on the likelihood of MDLM does.
    """

    schedulers = ("unmask", "unmask-halton", "unmask-random")
    default_scheduler = "unmask"
    default_temperature = 1.0

    @register_to_config
    def __init__(self, channels: int, codewords: int, k: int, codec_fingerprint: str):
        super().__init__()
        self._hold(Coordinates(channels, codewords, k), "linear")

    @property
    def mask(self) -> int:
        """The index that stands for a mask: one more than any codeword's."""
        return self.coordinates.codewords

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: coordinates and flags."""
        return self.state_channels + self.coordinates.channels

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: a logit for each codeword of each latent channel."""
        return self.coordinates.channels * self.coordinates.codewords

    @property
    def noise_channels(self) -> int:
        """Channels of noise: one number an index."""
        return self.coordinates.channels

    def begin(self, noise: Float[Tensor, "B ck h w"]) -> Int64[Tensor, "B c h w"]:
        """Nothing but masks."""
        return torch.full_like(noise[:, : self.coordinates.channels], self.mask, dtype=torch.int64)

    def corrupt(
        self, z: Int64[Tensor, "B c h w"], t: Int64[Tensor, " B"], noise: Float[Tensor, "B c h w"]
    ) -> Int64[Tensor, "B c h w"]:
        """The indices, with a mask where the noise lies among its lowest (t + 1) / T."""
        share = (t + 1).float() / TRAINING_TIMESTEPS
        return z.masked_fill(ndtr(noise) < share[:, None, None, None], self.mask)

    def inputs(
        self, state: Int64[Tensor, "B c h w"], previous: Float[Tensor, "B ck h w"] | None = None
    ) -> Float[Tensor, "B in h w"]:
        """Coordinates, 0 where masked, and the flags, which are 1 there."""
        del previous
        masked = self._masked(state)
        known = self.coordinates.embed(state.masked_fill(masked, 0)).unflatten(1, (self.coordinates.channels, -1))
        known = known.masked_fill(masked[:, :, None], 0).flatten(1, 2)
        return torch.cat([known, masked.float()], dim=1)

    def losses(
        self,
        out: Float[Tensor, "B out h w"],
        z: Int64[Tensor, "B c h w"],
        state: Int64[Tensor, "B c h w"],
        t: Int64[Tensor, " B"],
        noise: Float[Tensor, "B c h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """-log p of the indices under the mask, in nats, the mean over them."""
        del t, noise, decode_soft
        masked = self._masked(state)
        surprise = cross_entropy(self.coordinates.logits(out).transpose(1, 2), z, reduction="none")
        return {"cross_entropy": (surprise * masked).sum((1, 2, 3)) / masked.sum((1, 2, 3)).clamp(min=1)}

    def estimate(
        self,
        out: Float[Tensor, "B out h w"],
        state: Int64[Tensor, "B c h w"],
        alpha: Tensor,
        sigma: Tensor,
        temperature: float | None = None,
        generator: Generators = None,
    ) -> Float[Tensor, "B c K h w"]:
        """The logits at a temperature, from which the scheduler draws what it unmasks.

        Raises:
            SmaltiError: no temperature, or one that is not above 0.
        """
        del state, alpha, sigma, generator
        if temperature is None or temperature <= 0:
            raise SmaltiError("a masked model draws indices: give it a temperature of more than 0.")
        return self.coordinates.logits(out) / temperature

    def times(self, state: Int64[Tensor, "B c h w"], t: Tensor) -> Float[Tensor, " B"]:
        """The time at which as many indices are masked in training."""
        del t
        return self._masked(state).float().mean((1, 2, 3)) * TRAINING_TIMESTEPS - 1

    def codes(self, state: Int64[Tensor, "B c h w"]) -> Int64[Tensor, "B c h w"]:
        """The indices themselves."""
        return state

    def _masked(self, state: Int64[Tensor, "B c h w"]) -> Bool[Tensor, "B c h w"]:
        return state == self.mask
