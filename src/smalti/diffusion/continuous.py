"""Continuous diffusion on codeword coordinates (paper sections 3.2.1 and 4.2.2)."""

from typing import Literal, get_args

from diffusers.configuration_utils import register_to_config
from jaxtyping import Float, Int64
from torch import Tensor
from torch.special import ndtr

from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.process import BetaSchedule, DecodeSoft, Generators, Process, at
from smalti.files import SmaltiError

Prediction = Literal["v", "epsilon"]


class Continuous(Process):
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
        beta_schedule: BetaSchedule = "linear",
        self_conditioning: bool = False,
        dither: bool = False,
    ):
        super().__init__()
        if prediction not in get_args(Prediction):
            raise SmaltiError(f"'{prediction}' is no prediction; take one of {', '.join(get_args(Prediction))}.")
        self.prediction = prediction
        self.snr_gamma = snr_gamma
        if dither and k > 1:
            raise SmaltiError("dither spreads an index over its step: it goes with coordinates by rank alone.")
        self.dither = dither
        self._hold(Coordinates(channels, codewords, k), beta_schedule, self_conditioning)

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: those of the state."""
        return self.state_channels

    @property
    def noise_channels(self) -> int:
        """Channels of noise: those of the state, and with dither as many again."""
        return self.state_channels * (2 if self.dither else 1)

    def corrupt(
        self, z: Int64[Tensor, "B c h w"], t: Int64[Tensor, " B"], noise: Float[Tensor, "B n h w"]
    ) -> Float[Tensor, "B ck h w"]:
        """x_t = alpha_t x_0 + sigma_t noise."""
        return at(self.alpha, t) * self._clean(z, noise) + at(self.sigma, t) * noise[:, : self.state_channels]

    def _clean(self, z: Int64[Tensor, "B c h w"], noise: Float[Tensor, "B n h w"]) -> Float[Tensor, "B ck h w"]:
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
        t: Int64[Tensor, " B"],
        noise: Float[Tensor, "B n h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """Mean squared error of v or eps, times min(SNR, gamma) / (SNR + 1) for v and / SNR for eps."""
        del state, decode_soft
        snr = (self.alpha[t] / self.sigma[t]).square()
        target = noise[:, : self.state_channels]
        weight = snr.clamp(max=self.snr_gamma) / snr
        if self.prediction == "v":
            target = at(self.alpha, t) * target - at(self.sigma, t) * self._clean(z, noise)
            weight = snr.clamp(max=self.snr_gamma) / (snr + 1)
        return {self.prediction: weight * (out.float() - target).square().mean((1, 2, 3))}

    def estimate(
        self,
        out: Float[Tensor, "B ck h w"],
        state: Float[Tensor, "B ck h w"],
        alpha: Tensor,
        sigma: Tensor,
        temperature: float | None = None,
        generator: Generators = None,
    ) -> Float[Tensor, "B ck h w"]:
        """x_0 = alpha x_t - sigma v, or (x_t - sigma eps) / alpha, kept within the range of the codewords.

        Raises:
            SmaltiError: a temperature.
        """
        del generator
        if temperature is not None:
            raise SmaltiError("a temperature smooths a distribution over codewords, and this model predicts none.")
        alpha, sigma = (value.reshape(-1, 1, 1, 1) for value in (alpha, sigma))
        clean = alpha * state - sigma * out if self.prediction == "v" else (state - sigma * out) / alpha
        return clean.clamp(*self.coordinates.bounds())

    def codes(self, state: Float[Tensor, "B ck h w"]) -> Int64[Tensor, "B c h w"]:
        """The codewords nearest to a clean state."""
        return self.coordinates.snap(state)
