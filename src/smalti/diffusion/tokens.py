"""What processes whose states are indices have in common: the network tells how likely each codeword is."""

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.special import ndtr

from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.process import TRAINING_TIMESTEPS, DecodeSoft, Generators, Process, draw
from smalti.files import SmaltiError


class Tokens(Process):
    """Indices are replaced, each with probability (t + 1) / T, and the network tells what was there.

    A state is indices (B, c, h, w), the output logits (B, c, K, h, w).
    """

    default_temperature = 1.0

    def __init__(self, channels: int, codewords: int, k: int):
        super().__init__()
        self._hold(Coordinates(channels, codewords, k), "linear")

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: a logit for each codeword of each latent channel."""
        return self.coordinates.channels * self.coordinates.codewords

    @property
    def noise_channels(self) -> int:
        """Channels of noise: one number an index."""
        return self.coordinates.channels

    @abstractmethod
    def begin(self, noise: Float[Tensor, "B ck h w"]) -> Int64[Tensor, "B c h w"]:
        """Indices of which nothing is known."""

    @abstractmethod
    def asked(self, state: Int64[Tensor, "B c h w"]) -> Bool[Tensor, "B c h w"]:
        """Where the network is asked what was there."""

    def replaced(self, t: Int64[Tensor, " B"], noise: Float[Tensor, "B c h w"]) -> Bool[Tensor, "B c h w"]:
        """Where an index is replaced at time t: where normal noise lies among its lowest (t + 1) / T."""
        share = (t + 1).float() / TRAINING_TIMESTEPS
        return ndtr(noise) < share[:, None, None, None]

    def losses(
        self,
        out: Float[Tensor, "B out h w"],
        z: Int64[Tensor, "B c h w"],
        state: Int64[Tensor, "B c h w"],
        t: Int64[Tensor, " B"],
        noise: Float[Tensor, "B n h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """-log p of the indices that are asked for, in nats, the mean over them."""
        del t, noise, decode_soft
        asked = self.asked(state)
        surprise = cross_entropy(self.coordinates.logits(out).transpose(1, 2), z, reduction="none")
        return {"cross_entropy": (surprise * asked).sum((1, 2, 3)) / asked.sum((1, 2, 3)).clamp(min=1)}

    def estimate(
        self,
        out: Float[Tensor, "B out h w"],
        state: Int64[Tensor, "B c h w"],
        alpha: Tensor,
        sigma: Tensor,
        temperature: float | None = None,
        generator: Generators = None,
    ) -> Float[Tensor, "B c K h w"]:
        """The logits at a temperature, from which the scheduler draws indices.

        Raises:
            SmaltiError: no temperature, or one that is not above 0.
        """
        del state, alpha, sigma, generator
        if temperature is None or temperature <= 0:
            raise SmaltiError(
                f"a {type(self).__name__.lower()} model draws indices: give it a temperature of more than 0."
            )
        return self.coordinates.logits(out) / temperature

    def latent(
        self,
        out: Float[Tensor, "B out h w"],
        state: Int64[Tensor, "B c h w"],
        alpha: Tensor,
        sigma: Tensor,
        generator: Generators = None,
    ) -> Int64[Tensor, "B c h w"]:
        """The latent that one output implies: what is asked for is drawn, the rest stays."""
        logits = self.estimate(out, state, alpha, sigma, self.default_temperature)
        return torch.where(self.asked(state), draw(logits, 1.0, generator), state)

    def codes(self, state: Int64[Tensor, "B c h w"]) -> Int64[Tensor, "B c h w"]:
        """The indices themselves."""
        return state


def uniform(share: Float[Tensor, "B c h w"], sizes: Int64[Tensor, " c"]) -> Int64[Tensor, "B c h w"]:
    """Any index of each channel's codebook, all equally likely, from numbers that are uniform in 0 ... 1."""
    limit = sizes.to(share.device)[:, None, None]
    return torch.minimum((share * limit).long(), limit - 1)
