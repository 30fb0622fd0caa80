"""What a network's input and output mean: the boundary between latents and networks (paper sections 3.2, 4.2)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from smalti.codec import Codec
from smalti.component import Float32Component
from smalti.diffusion.coordinates import CoordinateKind, Coordinates
from smalti.diffusion.draws import Generators
from smalti.diffusion.level import Level
from smalti.errors import require_at_least
from smalti.records import Kind

DecodeSoft = Callable[[Float[Tensor, "B c K h w"]], Float[Tensor, "B C H W"]]
ProcessT = TypeVar("ProcessT", bound="Process")


@dataclass(frozen=True, kw_only=True)
class ProcessSettings(Kind):
    """What a process can be told: each kind of process has its own settings, named as the arguments of its class."""

    coordinates: CoordinateKind = "principal"
    """What stands for a codeword: its principal coordinates, or its rank (the paper's pseudo-ordinality)."""
    k: int = 4
    """Coordinates a codeword; 1 with "rank"."""

    def build(self, codec: Codec, counts: Int64[Tensor, "c K"] | None = None) -> "Process":
        """The process for a codec's latents; `counts` says how often each codeword occurs in them."""
        raise NotImplementedError

    @property
    def head_features(self) -> int:
        """Features by which the network's last layer knows a codeword; 0 where its outputs are not of codewords."""
        return 0

    def own(self) -> dict[str, Any]:
        """The settings of the process itself, not of the coordinates or of the network."""
        shared = {field.name for field in (*fields(ProcessSettings), *fields(LogitsSettings))}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in shared}


@dataclass(frozen=True, kw_only=True)
class LogitsSettings(ProcessSettings):
    """What processes can be told whose network says how likely each codeword is."""

    codeword_features: int = 48
    """Features by which the network's last layer knows a codeword, begun from its coordinates; 0 for a free row of
    weights each."""

    def __post_init__(self) -> None:
        """Refuse what no network can have.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        require_at_least(0, codeword_features=self.codeword_features)

    @property
    def head_features(self) -> int:
        """As many as were asked for."""
        return self.codeword_features


class Process(Float32Component, ABC):
    """How a latent is corrupted, what the network is shown, what its output says of the clean latent, and the losses.

    A process holds the codewords' coordinates as a buffer, and no parameters. Of time it knows levels alone.
    """

    default_scheduler: str
    """The name that its scheduler has in `smalti.schedulers`, where nothing else is asked for."""
    default_temperature: float | None = None
    has_mean: bool = False
    """Whether distributions over codewords have a mean that is a state."""
    default_cooling: float | None = None
    """The exponent of `cooled`, where the process knows of it."""
    default_extrapolation: float | None = None
    """How far logits are carried on from step to step where draws are made of them, where that suits the process."""

    coordinates: Coordinates
    self_conditioning: bool = False

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

    def numbers(self) -> dict[str, Tensor]:
        """What has to be finite numbers, by its names: all that is saved, but for rows that pad a smaller codebook."""
        table = self.coordinates.table[~self.coordinates.padding]
        return {**super().numbers(), "coordinates.table": table}

    @property
    def in_channels(self) -> int:
        """Channels of the network's input."""
        return self.state_channels

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: where it is logits, one for each codeword of each latent channel."""
        return self.coordinates.channels * self.coordinates.codewords

    @property
    def state_channels(self) -> int:
        """Channels of the coordinates of a latent: c * k."""
        return self.coordinates.channels * self.coordinates.k

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the loss is a cross-entropy of codewords, in nats, and nothing else."""
        return False

    @property
    @abstractmethod
    def noise_channels(self) -> int:
        """Channels of the standard normal numbers that `corrupt` takes."""

    @abstractmethod
    def level(self, position: Float[Tensor, " B"]) -> Level:
        """The level of training at a position from 0, little noise, to 1 (exclusive), where nothing is left."""

    @abstractmethod
    def time(self, level: Level) -> Float[Tensor, " B"]:
        """What the network is told of a level: a number from 0 to 999, as its embedding of times expects."""

    @abstractmethod
    def begin(self, noise: Float[Tensor, "B ck h w"], scale: float) -> Tensor:
        """The state that sampling begins with; `scale` is the deviation that the scheduler wants noise to have."""

    @abstractmethod
    def corrupt(self, z: Int64[Tensor, "B c h w"], level: Level, noise: Float[Tensor, "B n h w"]) -> Tensor:
        """The state of latent `z` at a level, for given noise."""

    @abstractmethod
    def inputs(self, state: Tensor, previous: Float[Tensor, "B ck h w"] | None = None) -> Float[Tensor, "B in h w"]:
        """What the network is shown of a state; with self-conditioning (ref 36) also its last estimate."""

    @abstractmethod
    def losses(
        self,
        out: Float[Tensor, "B *out h w"],
        z: Int64[Tensor, "B c h w"],
        state: Tensor,
        level: Level,
        noise: Float[Tensor, "B n h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """The weighted terms of the loss, one number an image each."""

    @abstractmethod
    def estimate(
        self,
        out: Float[Tensor, "B *out h w"],
        state: Tensor,
        level: Level,
        temperature: float | None = None,
        generator: Generators = None,
        *,
        draws: bool = True,
    ) -> Tensor:
        """The clean state that an output implies: what a scheduler with prediction_type="sample" takes.

        Where the output is a distribution over codewords, a draw from it at a temperature, or with `draws` off the
        mean at that temperature. Without a temperature it is the mean at 1.

        Raises:
            SmaltiError: a temperature, where the output is no distribution; or one below 0.
        """

    def cooled(self, temperature: float, level: Level, cooling: float) -> float:
        """The temperature of the draws at a level, from the one at most noise: temperature * sigma**cooling."""
        del level, cooling
        return temperature

    def carried(self, extrapolation: float, level: Level) -> float:
        """How far outputs are carried on at a level, from how far they are at no noise: extrapolation * alpha."""
        del level
        return extrapolation

    @abstractmethod
    def latent(
        self, out: Float[Tensor, "B *out h w"], state: Tensor, level: Level, generator: Generators = None
    ) -> Int64[Tensor, "B c h w"]:
        """The latent that one output implies; where it is a distribution, drawn as it is by default."""

    @abstractmethod
    def certain(self, z: Int64[Tensor, "B c h w"]) -> Tensor:
        """What `estimate` is for a network that knows the latent."""

    @abstractmethod
    def noisier(
        self,
        state: Tensor,
        level: Level,
        later: Level,
        noise: Float[Tensor, "B n h w"],
        free: Bool[Tensor, "h w"],
    ) -> Tensor:
        """The state at a later, noisier level, from one at a level that is less noisy; of what is not free too."""

    def put_back(self, state: Tensor, z: Int64[Tensor, "B c h w"], free: Bool[Tensor, "h w"]) -> Tensor:
        """A state in which known codes are as this process shows them to the network: by default under its noise."""
        del z, free
        return state

    @abstractmethod
    def codes(self, state: Tensor) -> Int64[Tensor, "B c h w"]:
        """The latent that a clean state stands for."""
