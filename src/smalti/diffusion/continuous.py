"""Continuous diffusion on codeword coordinates (paper sections 3.2.1 and 4.2.2)."""

from typing import Literal, get_args

from diffusers.configuration_utils import register_to_config
from jaxtyping import Float, Int64
from torch import Tensor

from smalti.codec import Codec
from smalti.diffusion.coordinates import CoordinateKind, Coordinates
from smalti.diffusion.process import BetaSchedule, Process, at
from smalti.files import SmaltiError

Prediction = Literal["v", "epsilon"]


class Continuous(Process):
    """DDPM on the coordinates of the codewords, as if they were continuous; the nearest codeword ends it.

    x_t = alpha_t x_0 + sigma_t eps with x_0 = embed(z). The network predicts v = alpha_t eps - sigma_t x_0
    (Salimans and Ho 2022) or eps. The loss is its squared error under Min-SNR weighting (ref 35): in terms of x_0 the
    weight is min(SNR_t, gamma), SNR_t = alpha_t**2 / sigma_t**2.
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
        beta_schedule: BetaSchedule = "linear",
    ):
        super().__init__()
        if prediction not in get_args(Prediction):
            raise SmaltiError(f"'{prediction}' is no prediction; take one of {', '.join(get_args(Prediction))}.")
        self.prediction = prediction
        self.snr_gamma = snr_gamma
        self._hold(Coordinates(channels, codewords, k), beta_schedule)

    @classmethod
    def of(
        cls,
        codec: Codec,
        kind: CoordinateKind = "principal",
        k: int = 4,
        counts: Int64[Tensor, "c K"] | None = None,
        prediction: Prediction = "v",
        snr_gamma: float = 5.0,
        beta_schedule: BetaSchedule = "linear",
    ) -> "Continuous":
        """The process for a codec's latents; `counts` says how often each codeword occurs in them."""
        coordinates = Coordinates.of(codec, kind, k, counts)
        channels, codewords, k = coordinates.table.shape
        process = cls(channels, codewords, k, codec.fingerprint, prediction, snr_gamma, beta_schedule)
        process.coordinates = coordinates
        return process.eval()

    @property
    def in_channels(self) -> int:
        """Channels of the network's input: those of the state."""
        return self.state_channels

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: those of the state."""
        return self.state_channels

    def corrupt(
        self, z: Int64[Tensor, "B c h w"], t: Int64[Tensor, " B"], noise: Float[Tensor, "B ck h w"]
    ) -> Float[Tensor, "B ck h w"]:
        """x_t = alpha_t embed(z) + sigma_t noise."""
        return at(self.alpha, t) * self.coordinates.embed(z) + at(self.sigma, t) * noise

    def inputs(self, state: Float[Tensor, "B ck h w"]) -> Float[Tensor, "B ck h w"]:
        """The state itself: its variance is 1 at every time."""
        return state

    def losses(
        self,
        out: Float[Tensor, "B ck h w"],
        z: Int64[Tensor, "B c h w"],
        state: Float[Tensor, "B ck h w"],
        t: Int64[Tensor, " B"],
        noise: Float[Tensor, "B ck h w"],
    ) -> dict[str, Float[Tensor, " B"]]:
        """Mean squared error of v or eps, times min(SNR, gamma) / (SNR + 1) for v and / SNR for eps."""
        snr = (self.alpha[t] / self.sigma[t]).square()
        if self.prediction == "v":
            target = at(self.alpha, t) * noise - at(self.sigma, t) * self.coordinates.embed(z)
            weight = snr.clamp(max=self.snr_gamma) / (snr + 1)
        else:
            target = noise
            weight = snr.clamp(max=self.snr_gamma) / snr
        return {self.prediction: weight * (out.float() - target).square().mean((1, 2, 3))}

    def estimate(
        self,
        out: Float[Tensor, "B ck h w"],
        state: Float[Tensor, "B ck h w"],
        alpha: Float[Tensor, ""],
        sigma: Float[Tensor, ""],
    ) -> Float[Tensor, "B ck h w"]:
        """x_0 = alpha x_t - sigma v, or (x_t - sigma eps) / alpha, kept within the range of the codewords."""
        clean = alpha * state - sigma * out if self.prediction == "v" else (state - sigma * out) / alpha
        return clean.clamp(*self.coordinates.bounds())

    def codes(self, state: Float[Tensor, "B ck h w"]) -> Int64[Tensor, "B c h w"]:
        """The codewords nearest to a clean state."""
        return self.coordinates.snap(state)
