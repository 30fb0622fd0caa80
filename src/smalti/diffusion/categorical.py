"""The categorical reverse process (paper sections 3.2.2 and 4.2.3, Algorithms 1 and 2)."""

import torch
from diffusers.configuration_utils import register_to_config
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy, gumbel_softmax
from torch.utils.checkpoint import checkpoint

from smalti.diffusion.coordinates import Coordinates
from smalti.diffusion.process import BetaSchedule, DecodeSoft, Generators, Process, at, draw, in_parts
from smalti.files import SmaltiError

_PIXEL_SCALE = 127.5  # grey levels: the image-space term is of pixels in -1 ... 1
_ELEMENTS_AT_A_TIME = 2**24  # of logits that the drawn terms of the loss hold copies of


class Categorical(Process):
    """DDPM on the coordinates of the codewords, whose network tells how likely each codeword is at each place.

    x_t = alpha_t embed(z) + sigma_t eps, and the output is logits (B, c, K, h, w). With `likelihood`, the log of
    N(x_t; alpha_t e_k, sigma_t**2) is added to them: by Bayes' rule the network then has to tell only what the
    neighbours say of a place, not what its own noisy coordinates say. Terms of the loss, times weights:

    - `cross_entropy`: -log p(z), the mean over places and channels, in nats.
    - `noise` (section 4.2.3): |eps - eps'|**2 with eps' = a_t x_t - b_t z', a_t = 1 / sigma_t, b_t = alpha_t / sigma_t,
      and z' the coordinates of a Gumbel-softmax draw. That is SNR_t |embed(z) - z'|**2, and under Min-SNR weighting
      (ref 35) its factor is min(SNR_t, gamma).
    - `image`: the squared error, pixels in -1 ... 1, of the same draw decoded (Algorithm 1) to the decoded latent.

    An image of 32x32 patches, 6 channels and 256 codewords has 1.6 million logits, 6.3 MB in float32. Outputs and their
    gradient are held for the whole batch, what the drawn terms need beside them for a few images at a time.
    """

    default_scheduler = "ddpm"
    default_temperature = 0.5  # the best of those tried by benchmarks/ablation.py

    @register_to_config
    def __init__(
        self,
        channels: int,
        codewords: int,
        k: int,
        codec_fingerprint: str,
        cross_entropy_weight: float = 1.0,
        noise_weight: float = 0.0,
        image_weight: float = 0.0,
        gumbel_temperature: float = 1.0,
        straight_through: bool = False,
        snr_gamma: float = 5.0,
        beta_schedule: BetaSchedule = "linear",
        self_conditioning: bool = False,
        likelihood: bool = False,
    ):
        super().__init__()
        self.likelihood = likelihood
        self.weights = {"cross_entropy": cross_entropy_weight, "noise": noise_weight, "image": image_weight}
        if min(self.weights.values()) < 0 or not any(self.weights.values()):
            raise SmaltiError("the weights of the loss must be 0 or more, and one of them more than 0.")
        self.gumbel_temperature = gumbel_temperature
        self.straight_through = straight_through
        self.snr_gamma = snr_gamma
        self._hold(Coordinates(channels, codewords, k), beta_schedule, self_conditioning)

    @property
    def out_channels(self) -> int:
        """Channels of the network's output: a logit for each codeword of each latent channel."""
        return self.coordinates.channels * self.coordinates.codewords

    def logits(
        self, out: Float[Tensor, "B out h w"], state: Float[Tensor, "B ck h w"], alpha: Tensor, sigma: Tensor
    ) -> Float[Tensor, "B c K h w"]:
        """The logits that an output stands for; those of padding are minus infinity."""
        logits = self.coordinates.logits(out)
        return logits + self.coordinates.log_likelihood(state, alpha, sigma) if self.likelihood else logits

    def corrupt(
        self, z: Int64[Tensor, "B c h w"], t: Int64[Tensor, " B"], noise: Float[Tensor, "B ck h w"]
    ) -> Float[Tensor, "B ck h w"]:
        """x_t = alpha_t embed(z) + sigma_t noise."""
        return at(self.alpha, t) * self.coordinates.embed(z) + at(self.sigma, t) * noise

    def losses(
        self,
        out: Float[Tensor, "B out h w"],
        z: Int64[Tensor, "B c h w"],
        state: Float[Tensor, "B ck h w"],
        t: Int64[Tensor, " B"],
        noise: Float[Tensor, "B ck h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """The terms above that have a weight; the image-space term needs `decode_soft`, that of the codec.

        Raises:
            SmaltiError: the image-space term has a weight, and `decode_soft` was not given.
        """
        if self.weights["image"] and decode_soft is None:
            raise SmaltiError("the image-space term needs the codec's decode_soft; give it, or set its weight to 0.")
        logits = self.logits(out, state, self.alpha[t], self.sigma[t])
        terms = {}
        if self.weights["cross_entropy"]:
            terms["cross_entropy"] = cross_entropy(logits.transpose(1, 2), z, reduction="none").mean((1, 2, 3))
        if self.weights["noise"] or self.weights["image"]:
            at_a_time = max(1, _ELEMENTS_AT_A_TIME // logits[0].numel())
            split = zip(*(each.split(at_a_time) for each in (logits, z, state, t, noise)), strict=True)
            if at_a_time >= len(logits):  # all at once: nothing to be gained by computing it twice
                parts = [self._drawn(logits, z, state, t, noise, decode_soft)]
            else:
                parts = [checkpoint(self._drawn, *part, decode_soft, use_reentrant=False) for part in split]
            terms["noise"], terms["image"] = (torch.cat(each) for each in zip(*parts, strict=True))
        return {name: self.weights[name] * term for name, term in terms.items() if self.weights[name]}

    def _drawn(
        self, logits: Tensor, z: Tensor, state: Tensor, t: Tensor, noise: Tensor, decode_soft: DecodeSoft | None
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """The terms of a Gumbel-softmax draw, in latent and in image space."""
        drawn = gumbel_softmax(logits, self.gumbel_temperature, hard=self.straight_through, dim=2)
        alpha, sigma = at(self.alpha, t), at(self.sigma, t)
        implied = (state - alpha * self.coordinates.mean(drawn)) / sigma
        snr = (self.alpha[t] / self.sigma[t]).square()
        noise_term = snr.clamp(max=self.snr_gamma) / snr * (noise - implied).square().mean((1, 2, 3))
        if not self.weights["image"] or decode_soft is None:
            return noise_term, torch.zeros_like(noise_term)
        exact = torch.zeros_like(drawn).scatter_(2, z[:, :, None], 1.0)
        error = (decode_soft(drawn) - decode_soft(exact)) / _PIXEL_SCALE
        return noise_term, error.square().mean((1, 2, 3))

    def estimate(
        self,
        out: Float[Tensor, "B out h w"],
        state: Float[Tensor, "B ck h w"],
        alpha: Tensor,
        sigma: Tensor,
        temperature: float | None = None,
        generator: Generators = None,
    ) -> Float[Tensor, "B ck h w"]:
        """Coordinates of a draw (Algorithm 2) at a temperature; without one, the expectation sum_k p_k e_k.

        Raises:
            SmaltiError: the temperature is below 0.
        """
        logits = self.logits(out, state, alpha, sigma)
        if temperature is None:
            return in_parts(lambda part: self.coordinates.mean(part.softmax(2)), logits)
        return self.coordinates.embed(draw(logits, temperature, generator))

    def codes(self, state: Float[Tensor, "B ck h w"]) -> Int64[Tensor, "B c h w"]:
        """The codewords nearest to a clean state."""
        return self.coordinates.snap(state)
