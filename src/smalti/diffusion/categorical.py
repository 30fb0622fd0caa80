"""The categorical reverse process (paper sections 3.2.2 and 4.2.3, Algorithms 1 and 2)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import gumbel_softmax
from torch.utils.checkpoint import checkpoint

from smalti.codec import Codec
from smalti.diffusion.draws import Generators, draw, in_parts, surprise
from smalti.diffusion.gaussian import Gaussian, GaussianSettings
from smalti.diffusion.level import GaussianLevel, over
from smalti.diffusion.process import DecodeSoft, LogitsSettings
from smalti.errors import SmaltiError
from smalti.mixins import register_to_config
from smalti.pixels import GREY_LEVELS

_PIXEL_SCALE = GREY_LEVELS / 2  # the image-space term is of pixels in -1 ... 1
_ELEMENTS_AT_A_TIME = 2**24  # of logits that the drawn terms of the loss hold copies of


@dataclass(frozen=True, kw_only=True)
class CategoricalSettings(GaussianSettings, LogitsSettings):
    """DDPM on the coordinates, whose network tells how likely each codeword is."""

    kind: ClassVar[str] = "categorical"

    likelihood: bool = False
    """Add the likelihood of the noisy coordinates to the logits."""
    cross_entropy_weight: float = 1.0
    """Weight of the cross-entropy."""
    noise_weight: float = 0.0
    """Weight of the error of the noise that a Gumbel-softmax draw implies."""
    image_weight: float = 0.0
    """Weight of the draw's error in image space."""
    gumbel_temperature: float = 1.0
    """Temperature of the Gumbel-softmax."""
    straight_through: bool = False
    """Draws of training are one-hot, with the gradient of the soft ones."""

    def __post_init__(self) -> None:
        """Refuse what no process can be told.

        Raises:
            SmaltiError: a setting that is out of range.
        """
        GaussianSettings.__post_init__(self)
        LogitsSettings.__post_init__(self)

    def build(self, codec: Codec, counts: Int64[Tensor, "c K"] | None = None) -> "Categorical":
        """The process for a codec's latents."""
        return Categorical.of(codec, self.coordinates, self.k, counts, **self.own())


class Categorical(Gaussian):
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
    default_temperature = 0.6  # these three: the best of those tried in short trainings
    default_cooling = 4.0
    default_extrapolation = 0.7
    has_mean = True

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
        beta_schedule: str = "linear",
        self_conditioning: bool = False,
        likelihood: bool = False,
    ):
        super().__init__(channels, codewords, k, beta_schedule, self_conditioning)
        self.likelihood = likelihood
        self.weights = {"cross_entropy": cross_entropy_weight, "noise": noise_weight, "image": image_weight}
        if min(self.weights.values()) < 0 or not any(self.weights.values()):
            raise SmaltiError("the weights of the loss must be 0 or more, and one of them more than 0.")
        self.gumbel_temperature = gumbel_temperature
        self.straight_through = straight_through
        self.snr_gamma = snr_gamma

    @property
    def is_cross_entropy(self) -> bool:
        """Whether the weights leave nothing else."""
        return self.weights == {"cross_entropy": 1.0, "noise": 0.0, "image": 0.0}

    def logits(
        self, out: Float[Tensor, "B *out h w"], state: Float[Tensor, "B ck h w"], level: GaussianLevel
    ) -> Float[Tensor, "B c K h w"]:
        """The logits that an output stands for; those of padding are minus infinity."""
        logits = self.coordinates.logits(out)
        return logits + self.coordinates.log_likelihood(state, level.alpha, level.sigma) if self.likelihood else logits

    def losses(
        self,
        out: Float[Tensor, "B *out h w"],
        z: Int64[Tensor, "B c h w"],
        state: Float[Tensor, "B ck h w"],
        level: GaussianLevel,
        noise: Float[Tensor, "B ck h w"],
        decode_soft: DecodeSoft | None = None,
    ) -> dict[str, Float[Tensor, " B"]]:
        """The terms above that have a weight; the image-space term needs `decode_soft`, that of the codec.

        Raises:
            SmaltiError: the image-space term has a weight, and `decode_soft` was not given.
        """
        if self.weights["image"] and decode_soft is None:
            raise SmaltiError("the image-space term needs the codec's decode_soft; give it, or set its weight to 0.")
        logits = self.logits(out, state, level)
        terms = {}
        if self.weights["cross_entropy"]:
            terms["cross_entropy"] = surprise(logits, z).mean((1, 2, 3))
        if self.weights["noise"] or self.weights["image"]:
            at_a_time = max(1, _ELEMENTS_AT_A_TIME // logits[0].numel())
            drawn_of = (logits, z, state, level.alpha, level.sigma, noise)
            split = zip(*(each.split(at_a_time) for each in drawn_of), strict=True)
            if at_a_time >= len(logits):  # all at once: nothing to be gained by computing it twice
                parts = [self._drawn(*drawn_of, decode_soft)]
            else:
                parts = [checkpoint(self._drawn, *part, decode_soft, use_reentrant=False) for part in split]
            terms["noise"], terms["image"] = (torch.cat(each) for each in zip(*parts, strict=True))
        return {name: self.weights[name] * term for name, term in terms.items() if self.weights[name]}

    def _drawn(
        self,
        logits: Float[Tensor, "b c K h w"],
        z: Int64[Tensor, "b c h w"],
        state: Float[Tensor, "b ck h w"],
        alpha: Float[Tensor, " b"],
        sigma: Float[Tensor, " b"],
        noise: Float[Tensor, "b ck h w"],
        decode_soft: DecodeSoft | None,
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """The terms of a Gumbel-softmax draw, in latent and in image space."""
        drawn = gumbel_softmax(logits.float(), self.gumbel_temperature, hard=self.straight_through, dim=2)
        implied = (state - over(alpha) * self.coordinates.mean(drawn)) / over(sigma)
        snr = GaussianLevel(alpha, sigma).snr
        noise_term = snr.clamp(max=self.snr_gamma) / snr * (noise - implied).square().mean((1, 2, 3))
        if not self.weights["image"] or decode_soft is None:
            return noise_term, torch.zeros_like(noise_term)
        exact = torch.zeros_like(drawn).scatter_(2, z[:, :, None], 1.0)
        error = (decode_soft(drawn) - decode_soft(exact)) / _PIXEL_SCALE
        return noise_term, error.square().mean((1, 2, 3))

    def cooled(self, temperature: float, level: GaussianLevel, cooling: float) -> float:
        """The temperature of the draws at a level, from the one at most noise: temperature * sigma**cooling.

        Draws of a step are independent of each other. The less noise is left, the fewer steps there are to mend what
        does not go together, and the likelier codewords do.
        """
        return temperature * float(level.sigma.max()) ** cooling

    def carried(self, extrapolation: float, level: GaussianLevel) -> float:
        """How far outputs are carried on at a level, from how far they are at no noise: extrapolation * alpha.

        Where much is noise, what changes from one step to the next is mostly what was drawn by chance.
        """
        return extrapolation * float(level.alpha.min())

    def estimate(
        self,
        out: Float[Tensor, "B *out h w"],
        state: Float[Tensor, "B ck h w"],
        level: GaussianLevel,
        temperature: float | None = None,
        generator: Generators = None,
        *,
        draws: bool = True,
    ) -> Float[Tensor, "B ck h w"]:
        """Coordinates of a draw (Algorithm 2) at a temperature, or the expectation sum_k p_k e_k.

        The distribution is softmax(logits / temperature); without a temperature its expectation is at 1.

        Raises:
            SmaltiError: the temperature is below 0.
        """
        logits = self.logits(out.float(), state, level)
        if temperature is None or not (draws or temperature == 0):
            return in_parts(lambda part: self.coordinates.mean(_softmax(part / (temperature or 1.0))), logits)
        return self.coordinates.embed(draw(logits, temperature, generator))


def _softmax(logits: Float[Tensor, "B c K h w"]) -> Float[Tensor, "B c K h w"]:
    """Over the codewords, stored side by side: so `CodewordHead` stores its logits, and they are not turned round."""
    return logits.movedim(2, -1).softmax(-1).movedim(-1, 2)
