"""What a network's input and output mean: the boundary between latents and networks (paper sections 3.2, 4.2)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from diffusers import DDPMScheduler
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float, Int64
from torch import Generator, Tensor
from torch.special import ndtr

from smalti.codec import Codec
from smalti.component import Float32Component
from smalti.diffusion.coordinates import CoordinateKind, Coordinates
from smalti.files import SmaltiError

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
DecodeSoft = Callable[[Float[Tensor, "B c K h w"]], Float[Tensor, "B C H W"]]
ProcessT = TypeVar("ProcessT", bound="Process")
Generators = Generator | list[Generator] | None

TRAINING_TIMESTEPS = 1000  # the paper's T (Figure 7)
_ELEMENTS_AT_A_TIME = 2**19  # of logits that are worked on


class Process(Float32Component, ABC):
    """How a latent is corrupted, what the network is shown, what its output says of the clean latent, and the losses.

    A process holds the codewords' coordinates and the noise schedule as buffers, and no parameters. Schedules are the
    variance-preserving ones of DDPM (ref 1): state = alpha_t x_0 + sigma_t noise, alpha_t**2 + sigma_t**2 = 1.
    """

    schedulers: tuple[str, ...] = ("ddpm", "ddim", "dpmsolver++", "unipc", "euler", "heun", "renoise")
    """Names of the schedulers that its estimates suit, as `smalti.schedulers.make_scheduler` takes them."""
    default_scheduler: str = "ddim"
    default_temperature: float | None = None

    coordinates: Coordinates
    alpha: Tensor
    sigma: Tensor
    self_conditioning: bool = False

    def _hold(self, coordinates: Coordinates, beta_schedule: BetaSchedule, self_conditioning: bool = False) -> None:
        self.coordinates = coordinates
        self.self_conditioning = self_conditioning
        cumulative = DDPMScheduler(TRAINING_TIMESTEPS, beta_schedule=beta_schedule).alphas_cumprod.double()
        self.register_buffer("alpha", cumulative.sqrt().float())
        self.register_buffer("sigma", (1 - cumulative).sqrt().float())

    @classmethod
    def of(
        cls: type[ProcessT],
        codec: Codec,
        kind: CoordinateKind = "principal",
        k: int = 4,
        counts: Int64[Tensor, "c K"] | None = None,
        **settings: Any,
    ) -> ProcessT:
        """The process for a codec's latents; `counts` says how often each codeword occurs in them.

        Raises:
            SmaltiError: coordinates or settings that do not go together.
        """
        coordinates = Coordinates.of(codec, kind, k, counts)
        shape = {"channels": coordinates.channels, "codewords": coordinates.codewords, "k": coordinates.k}
        made: Any = cls
        process = made(**shape, codec_fingerprint=codec.fingerprint, **settings)
        process.coordinates = coordinates
        return process.eval()

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: the state, and with self-conditioning the estimate before it."""
        return self.state_channels * (2 if self.self_conditioning else 1)

    @property
    @abstractmethod
    def out_channels(self) -> int:
        """Channels of the network's output."""

    @property
    def state_channels(self) -> int:
        """Channels of the coordinates of a latent: c * k."""
        return self.coordinates.channels * self.coordinates.k

    @property
    def noise_channels(self) -> int:
        """Channels of the standard normal numbers that `corrupt` takes."""
        return self.state_channels

    def begin(self, noise: Float[Tensor, "B ck h w"]) -> Tensor:
        """The state that sampling begins with: noise, of the variance that the scheduler wants."""
        return noise

    @abstractmethod
    def corrupt(self, z: Int64[Tensor, "B c h w"], t: Int64[Tensor, " B"], noise: Float[Tensor, "B n h w"]) -> Tensor:
        """The state of latent `z` at time t of the training schedule, for given noise."""

    def inputs(self, state: Tensor, previous: Float[Tensor, "B ck h w"] | None = None) -> Float[Tensor, "B in h w"]:
        """What the network is shown: a state of variance 1, and with self-conditioning (ref 36) its last estimate."""
        if not self.self_conditioning:
            return state
        return torch.cat([state, torch.zeros_like(state) if previous is None else previous], dim=1)

    @abstractmethod
    def losses(
        self,
        out: Float[Tensor, "B out h w"],
        z: Int64[Tensor, "B c h w"],
        state: Tensor,
        t: Int64[Tensor, " B"],
        noise: Float[Tensor, "B n h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """The weighted terms of the loss, one number an image each."""

    @abstractmethod
    def estimate(
        self,
        out: Float[Tensor, "B out h w"],
        state: Tensor,
        alpha: Tensor,
        sigma: Tensor,
        temperature: float | None = None,
        generator: Generators = None,
    ) -> Tensor:
        """The clean state that an output implies: what a scheduler with prediction_type="sample" takes.

        Where the output is a distribution over codewords, a draw from it at a temperature, or without one its
        expectation.

        Raises:
            SmaltiError: a temperature, where the output is no distribution; or one below 0.
        """

    def mean(self, out: Float[Tensor, "B out h w"], state: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """The expected clean state that an output implies: what self-conditioning shows the network next."""
        return self.estimate(out, state, alpha, sigma)

    def latent(
        self, out: Float[Tensor, "B out h w"], state: Tensor, alpha: Tensor, sigma: Tensor, generator: Generators = None
    ) -> Int64[Tensor, "B c h w"]:
        """The latent that one output implies; where it is a distribution, drawn as it is by default."""
        return self.codes(self.estimate(out, state, alpha, sigma, self.default_temperature, generator))

    def times(self, state: Tensor, t: Tensor) -> Float[Tensor, " B"]:
        """The time that the network is told, for a state that the scheduler is at time t with."""
        return torch.full((len(state),), float(t), device=state.device)

    @abstractmethod
    def codes(self, state: Tensor) -> Int64[Tensor, "B c h w"]:
        """The latent that a clean state stands for."""


def at(schedule: Float[Tensor, " T"], t: Int64[Tensor, " B"]) -> Float[Tensor, "B 1 1 1"]:
    """The value of a schedule at each image's time, shaped to multiply a batch of states."""
    return schedule[t][:, None, None, None]


def draw(
    logits: Float[Tensor, "B c K h w"], temperature: float, generator: Generators = None
) -> Int64[Tensor, "B c h w"]:
    """An index from softmax(logits / temperature) at every place; at temperature 0 the likeliest.

    With a list of generators each image draws from its own.

    Raises:
        SmaltiError: the temperature is below 0.
    """
    if temperature < 0:
        raise SmaltiError(f"a temperature of {temperature:g}: it must be 0 (the likeliest codeword) or more.")
    if temperature == 0:
        return logits.argmax(2)
    b, c, _, h, w = logits.shape
    chance = ndtr(randn_tensor((b, c, h, w, 1), generator, logits.device))
    return in_parts(lambda part, level: _inverse_transform(part / temperature, level), logits, chance)


def in_parts(function: Callable[..., Tensor], logits: Float[Tensor, "B c K h w"], *others: Tensor) -> Tensor:
    """`function` of logits and what goes with them, on a processor a few images at a time.

    So what is worked on stays in its cache, which is three times as fast.
    """
    if logits.device.type != "cpu":
        return function(logits, *others)
    at_a_time = max(1, _ELEMENTS_AT_A_TIME // logits[0].numel())
    return torch.cat(
        [function(*part) for part in zip(*(each.split(at_a_time) for each in (logits, *others)), strict=True)]
    )


def _inverse_transform(
    logits: Float[Tensor, "B c K h w"], chance: Float[Tensor, "B c h w 1"]
) -> Int64[Tensor, "B c h w"]:
    """The first index up to which the probabilities sum to more than a chance in 0 ... 1."""
    cumulative = logits.float().movedim(2, -1).contiguous().softmax(-1).cumsum(-1)
    total = cumulative[..., -1:].contiguous()
    # Where rounding lifts the chance to the total, the last index that has a probability is drawn.
    index = torch.searchsorted(cumulative, chance * total, right=True)
    return torch.minimum(index, torch.searchsorted(cumulative, total))[..., 0]
