"""What a network's input and output mean: the boundary between latents and networks (paper sections 3.2, 4.2)."""

from abc import ABC, abstractmethod
from typing import Literal

from diffusers import DDPMScheduler
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.component import Float32Component
from smalti.diffusion.coordinates import Coordinates

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]

TRAINING_TIMESTEPS = 1000  # the paper's T (Figure 7)


class Process(Float32Component, ABC):
    """How a latent is corrupted, what the network is shown, what its output says of the clean latent, and the losses.

    A process holds the codewords' coordinates and the noise schedule as buffers, and no parameters. Schedules are the
    variance-preserving ones of DDPM (ref 1): state = alpha_t x_0 + sigma_t noise, alpha_t**2 + sigma_t**2 = 1.
    """

    coordinates: Coordinates
    alpha: Tensor
    sigma: Tensor

    def _hold(self, coordinates: Coordinates, beta_schedule: BetaSchedule) -> None:
        self.coordinates = coordinates
        cumulative = DDPMScheduler(TRAINING_TIMESTEPS, beta_schedule=beta_schedule).alphas_cumprod.double()
        self.register_buffer("alpha", cumulative.sqrt().float())
        self.register_buffer("sigma", (1 - cumulative).sqrt().float())

    @property
    @abstractmethod
    def in_channels(self) -> int:
        """Channels of the network's input."""

    @property
    @abstractmethod
    def out_channels(self) -> int:
        """Channels of the network's output."""

    @property
    def state_channels(self) -> int:
        """Channels of a state, and of the noise that goes into it: c * k."""
        return self.coordinates.channels * self.coordinates.k

    @abstractmethod
    def corrupt(self, z: Int64[Tensor, "B c h w"], t: Int64[Tensor, " B"], noise: Tensor) -> Tensor:
        """The state of latent `z` at time t of the training schedule, for given noise."""

    @abstractmethod
    def inputs(self, state: Tensor) -> Float[Tensor, "B in h w"]:
        """What the network is shown of a state."""

    @abstractmethod
    def losses(
        self, out: Float[Tensor, "B out h w"], z: Int64[Tensor, "B c h w"], state: Tensor, t: Tensor, noise: Tensor
    ) -> dict[str, Float[Tensor, " B"]]:
        """The weighted terms of the loss, one number an image each."""

    @abstractmethod
    def estimate(self, out: Float[Tensor, "B out h w"], state: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The clean state that an output implies: what a scheduler with prediction_type="sample" takes."""

    @abstractmethod
    def codes(self, state: Tensor) -> Int64[Tensor, "B c h w"]:
        """The latent that a clean state stands for."""


def at(schedule: Float[Tensor, " T"], t: Int64[Tensor, " B"]) -> Float[Tensor, "B 1 1 1"]:
    """The value of a schedule at each image's time, shaped to multiply a batch of states."""
    return schedule[t][:, None, None, None]
