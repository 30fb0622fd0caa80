"""Continuous diffusion on codeword coordinates (paper sections 3.2.1 and 4.2.2)."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from jaxtyping import Float, Int64
from torch import Tensor
from torch.special import ndtr

from smalti.codec import Codec
from smalti.diffusion.draws import Generators
from smalti.diffusion.gaussian import Gaussian, GaussianSettings
from smalti.diffusion.level import GaussianLevel, over
from smalti.diffusion.process import DecodeSoft
from smalti.errors import SmaltiError
from smalti.mixins import register_to_config

Prediction = Literal["v", "epsilon"]


@dataclass(frozen=True, kw_only=True)
class ContinuousSettings(GaussianSettings):
    """DDPM on the coordinates, as if they were continuous."""

    kind: ClassVar[str] = "continuous"

    prediction: Prediction = "v"
    """What the network predicts."""
    dither: bool = False
    """By rank: spread an index of training over its step."""

    def __post_init__(self) -> None:
        """Refuse what no process can be told.

        Raises:
            SmaltiError: a setting that is out of range, or settings that do not go together.
        """
        GaussianSettings.__post_init__(self)
        if self.dither and self.coordinates != "rank":
            raise SmaltiError("dither spreads an index over its step: it goes with coordinates by rank alone.")

    def build(self, codec: Codec, counts: Int64[Tensor, "c K"] | None = None) -> "Continuous":
        """The process for a codec's latents."""
        return Continuous.of(codec, self.coordinates, self.k, counts, **self.own())


class Continuous(Gaussian):
    """DDPM on the coordinates of the codewords, as if they were continuous; the nearest codeword ends it.

    x_t = alpha_t x_0 + sigma_t eps with x_0 = embed(z). The network predicts v = alpha_t eps - sigma_t x_0
    (Salimans and Ho 2022) or eps. The loss is its squared error under Min-SNR weighting (ref 35): in terms of x_0 the
    weight is min(SNR_t, gamma), SNR_t = alpha_t**2 / sigma_t**2. With `dither` (ref 33), for coordinates by rank, an
    index of training is spread uniformly over its step.
    """

    @register_to_config
    def __init__(
        self,
        channels: int,
        codewords: int,
        k: int,
        codec_fingerprint: str,
        prediction: Prediction = "v",
        snr_gamma: float = 5.0,
        beta_schedule: str = "linear",
        self_conditioning: bool = False,
        dither: bool = False,
    ):
        super().__init__(channels, codewords, k, beta_schedule, self_conditioning)
        if prediction not in get_args(Prediction):
            raise SmaltiError(f"'{prediction}' is no prediction; take one of {', '.join(get_args(Prediction))}.")
        self.prediction = prediction
        self.snr_gamma = snr_gamma
        if dither and k > 1:
            raise SmaltiError("dither spreads an index over its step: it goes with coordinates by rank alone.")
        self.dither = dither

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: those of the state."""
        return self.state_channels

    @property
    def noise_channels(self) -> int:
        """Channels of noise: those of the state, and with dither as many again."""
        return self.state_channels * (2 if self.dither else 1)

    def clean(self, z: Int64[Tensor, "B c h w"], noise: Float[Tensor, "B n h w"]) -> Float[Tensor, "B ck h w"]:
        """x_0 = embed(z), with dither plus a uniform number of one index step's width."""
        clean = self.coordinates.embed(z)
        if not self.dither:
            return clean
        step = (self.coordinates.table[:, 1] - self.coordinates.table[:, 0])[:, :, None]
        return clean + step * (ndtr(noise[:, self.state_channels :]) - 0.5)

    def losses(
        self,
        out: Float[Tensor, "B ck h w"],
        z: Int64[Tensor, "B c h w"],
        state: Float[Tensor, "B ck h w"],
        level: GaussianLevel,
        noise: Float[Tensor, "B n h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """Mean squared error of v or eps, times min(SNR, gamma) / (SNR + 1) for v and / SNR for eps."""
        del state, decode_soft
        snr = level.snr
        target = noise[:, : self.state_channels]
        weight = snr.clamp(max=self.snr_gamma) / snr
        if self.prediction == "v":
            target = over(level.alpha) * target - over(level.sigma) * self.clean(z, noise)
            weight = snr.clamp(max=self.snr_gamma) / (snr + 1)
        return {self.prediction: weight * (out.float() - target).square().mean((1, 2, 3))}

    def estimate(
        self,
        out: Float[Tensor, "B ck h w"],
        state: Float[Tensor, "B ck h w"],
        level: GaussianLevel,
        temperature: float | None = None,
        generator: Generators = None,
        *,
        draws: bool = True,
    ) -> Float[Tensor, "B ck h w"]:
        """x_0 = alpha x_t - sigma v, or (x_t - sigma eps) / alpha, kept within the range of the codewords.

        Raises:
            SmaltiError: a temperature.
        """
        del generator, draws
        if temperature is not None:
            raise SmaltiError("a temperature smooths a distribution over codewords, and this model predicts none.")
        alpha, sigma = over(level.alpha), over(level.sigma)
        clean = alpha * state - sigma * out if self.prediction == "v" else (state - sigma * out) / alpha
        return clean.clamp(*self.coordinates.bounds())
