"""The family of processes that add Gaussian noise to codeword coordinates."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.draws import Generators
from smalti.diffusion.level import GaussianLevel, over
from smalti.diffusion.process import Process, ProcessSettings
from smalti.diffusion.schedule import NoiseSchedule, require_schedule
from smalti.errors import SmaltiError


@dataclass(frozen=True, kw_only=True)
class GaussianSettings(ProcessSettings):
    """What all processes of this family can be told."""

    beta_schedule: str = "linear"
    """Noise schedule: linear, scaled_linear or squaredcos_cap_v2."""
    snr_gamma: float = 5.0
    """Gamma of Min-SNR weighting."""
    self_conditioning: bool = False
    """Show the network its last estimate, in training half of the time."""

    def __post_init__(self) -> None:
        """Refuse what no process can be told.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_schedule(self.beta_schedule)
        if not self.snr_gamma > 0:
            raise SmaltiError(f"the SNR gamma is {self.snr_gamma}; it must be more than 0.")


class Gaussian(Process):
    """States are alpha x_0 + sigma noise, with x_0 the coordinates of a latent; the nearest codewords end it.

    The noise schedule of training is kept as two buffers beside the coordinates.
    """

    default_scheduler = "ddim"

    alpha: Tensor
    sigma: Tensor

    def __init__(self, channels: int, codewords: int, k: int, beta_schedule: str, self_conditioning: bool):
        super().__init__()
        self.coordinates = Coordinates(channels, codewords, k)
        self.self_conditioning = self_conditioning
        schedule = NoiseSchedule.named(beta_schedule)
        self.register_buffer("alpha", schedule.alpha)
        self.register_buffer("sigma", schedule.sigma)

    @property
    def schedule(self) -> NoiseSchedule:
        """The noise schedule of training."""
        return NoiseSchedule(self.alpha, self.sigma)

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: the state, and with self-conditioning the estimate before it."""
        return self.state_channels * (2 if self.self_conditioning else 1)

    @property
    def noise_channels(self) -> int:
        """Channels of noise: those of the state."""
        return self.state_channels

    def level(self, position: Float[Tensor, " B"]) -> GaussianLevel:
        """The level of the noise schedule at a position."""
        return self.schedule.level(position)

    def time(self, level: GaussianLevel) -> Float[Tensor, " B"]:
        """The time of training at which there is as much noise."""
        return self.schedule.time(level)

    def begin(self, noise: Float[Tensor, "B ck h w"], scale: float) -> Float[Tensor, "B ck h w"]:
        """Noise alone."""
        return noise * scale

    def corrupt(
        self, z: Int64[Tensor, "B c h w"], level: GaussianLevel, noise: Float[Tensor, "B n h w"]
    ) -> Float[Tensor, "B ck h w"]:
        """x_t = alpha_t x_0 + sigma_t noise."""
        return over(level.alpha) * self.clean(z, noise) + over(level.sigma) * noise[:, : self.state_channels]

    def clean(self, z: Int64[Tensor, "B c h w"], noise: Float[Tensor, "B n h w"]) -> Float[Tensor, "B ck h w"]:
        """x_0 = embed(z)."""
        del noise
        return self.coordinates.embed(z)

    def inputs(
        self, state: Float[Tensor, "B ck h w"], previous: Float[Tensor, "B ck h w"] | None = None
    ) -> Float[Tensor, "B in h w"]:
        """The state, of variance 1, and with self-conditioning the last estimate, which is 0 at first."""
        if not self.self_conditioning:
            return state
        return torch.cat([state, torch.zeros_like(state) if previous is None else previous], dim=1)

    def latent(
        self,
        out: Float[Tensor, "B *out h w"],
        state: Float[Tensor, "B ck h w"],
        level: GaussianLevel,
        generator: Generators = None,
    ) -> Int64[Tensor, "B c h w"]:
        """The codewords nearest to what one output implies, drawn where that is the default."""
        return self.codes(self.estimate(out, state, level, self.default_temperature, generator))

    def certain(self, z: Int64[Tensor, "B c h w"]) -> Float[Tensor, "B ck h w"]:
        """The coordinates of the latent."""
        return self.coordinates.embed(z)

    def noisier(
        self,
        state: Float[Tensor, "B ck h w"],
        level: GaussianLevel,
        later: GaussianLevel,
        noise: Float[Tensor, "B n h w"],
        free: Bool[Tensor, "h w"],
    ) -> Float[Tensor, "B ck h w"]:
        """x_t = r x_s + sqrt(sigma_t**2 - r**2 sigma_s**2) noise with r = alpha_t / alpha_s."""
        del free
        ratio = later.alpha / level.alpha
        added = (later.sigma.square() - (ratio * level.sigma).square()).clamp(min=0).sqrt()
        return over(ratio) * state + over(added) * noise[:, : self.state_channels]

    def codes(self, state: Float[Tensor, "B ck h w"]) -> Int64[Tensor, "B c h w"]:
        """The codewords nearest to a clean state."""
        return self.coordinates.snap(state)
