"""The family of processes whose states are indices: the network tells how likely each codeword is."""

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.special import ndtr

from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.draws import Generators, draw, surprise
from smalti.diffusion.level import DiscreteLevel, over
from smalti.diffusion.process import DecodeSoft, Process
from smalti.diffusion.schedule import TRAINING_TIMESTEPS
from smalti.errors import SmaltiError


class Discrete(Process):
    """A share of the indices, from 1 / T to all, is replaced, and the network tells what was there.

    A state is indices (B, c, h, w), the output logits (B, c, K, h, w).
    """

    default_temperature = 1.0
    # Models saved when these processes kept a noise schedule, which they never used.
    _keys_to_ignore_on_load_unexpected = ("alpha", "sigma")

    def __init__(self, channels: int, codewords: int, k: int):
        super().__init__()
        self.coordinates = Coordinates(channels, codewords, k)

    @property
    def is_cross_entropy(self) -> bool:
        """It is that of the indices that are asked for."""
        return True

    @property
    def noise_channels(self) -> int:
        """Channels of noise: one number an index."""
        return self.coordinates.channels

    def level(self, position: Float[Tensor, " B"]) -> DiscreteLevel:
        """The share at a position, in T equal steps of which the first is no longer 0."""
        return DiscreteLevel(((position * TRAINING_TIMESTEPS).floor() + 1) / TRAINING_TIMESTEPS)

    def time(self, level: DiscreteLevel) -> Float[Tensor, " B"]:
        """The time of training at which so many are replaced."""
        return (level.share * TRAINING_TIMESTEPS - 1).float()

    @abstractmethod
    def begin(self, noise: Float[Tensor, "B ck h w"], scale: float) -> Int64[Tensor, "B c h w"]:
        """Indices of which nothing is known."""

    @abstractmethod
    def asked(self, state: Int64[Tensor, "B c h w"]) -> Bool[Tensor, "B c h w"]:
        """Where the network is asked what was there."""

    def replaced(self, level: DiscreteLevel, noise: Float[Tensor, "B c h w"]) -> Bool[Tensor, "B c h w"]:
        """Where an index is replaced: where normal noise lies among its lowest share."""
        return ndtr(noise) < over(level.share.to(noise.dtype))

    def losses(
        self,
        out: Float[Tensor, "B *out h w"],
        z: Int64[Tensor, "B c h w"],
        state: Int64[Tensor, "B c h w"],
        level: DiscreteLevel,
        noise: Float[Tensor, "B n h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """-log p of the indices that are asked for, in nats, the mean over them."""
        del level, noise, decode_soft
        asked = self.asked(state)
        found = surprise(self.coordinates.logits(out), z)
        return {"cross_entropy": (found * asked).sum((1, 2, 3)) / asked.sum((1, 2, 3)).clamp(min=1)}

    def estimate(
        self,
        out: Float[Tensor, "B *out h w"],
        state: Int64[Tensor, "B c h w"],
        level: DiscreteLevel,
        temperature: float | None = None,
        generator: Generators = None,
        *,
        draws: bool = True,
    ) -> Float[Tensor, "B c K h w"]:
        """The logits at a temperature, from which the scheduler draws indices.

        Raises:
            SmaltiError: no temperature, or one that is not above 0.
        """
        del state, level, generator, draws
        if temperature is None or temperature <= 0:
            raise SmaltiError(
                f"a {type(self).__name__.lower()} model draws indices: give it a temperature of more than 0."
            )
        return self.coordinates.logits(out.float()) / temperature

    def latent(
        self,
        out: Float[Tensor, "B *out h w"],
        state: Int64[Tensor, "B c h w"],
        level: DiscreteLevel,
        generator: Generators = None,
    ) -> Int64[Tensor, "B c h w"]:
        """The latent that one output implies: what is asked for is drawn, the rest stays."""
        logits = self.estimate(out, state, level, self.default_temperature)
        return torch.where(self.asked(state), draw(logits, 1.0, generator), state)

    def certain(self, z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "B c K h w"]:
        """Logits of which those of the latent alone are finite."""
        shape = (*z.shape[:2], self.coordinates.codewords, *z.shape[2:])
        return torch.full(shape, -torch.inf, device=z.device).scatter_(2, z[:, :, None], 0.0)

    def noisier(
        self,
        state: Int64[Tensor, "B c h w"],
        level: DiscreteLevel,
        later: DiscreteLevel,
        noise: Float[Tensor, "B n h w"],
        free: Bool[Tensor, "h w"],
    ) -> Int64[Tensor, "B c h w"]:
        """Of what was not replaced as much is replaced as makes the share that of the later level."""
        del free
        return self._replaced_to(state, level.share, later.share, noise)

    def _replaced_to(
        self, state: Int64[Tensor, "B c h w"], share: Float[Tensor, " B"], later: Float[Tensor, " B"], noise: Tensor
    ) -> Int64[Tensor, "B c h w"]:
        more = (later - share).clamp(min=0) / (1 - share).clamp(min=torch.finfo(share.dtype).tiny)
        return self.corrupt(state, DiscreteLevel(more), noise)

    def codes(self, state: Int64[Tensor, "B c h w"]) -> Int64[Tensor, "B c h w"]:
        """The indices themselves."""
        return state
