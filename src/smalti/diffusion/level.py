"""How noisy states are: all that a process is told about time."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class GaussianLevel:
    """States alpha x_0 + sigma noise, with a number of each an image."""

    alpha: Float[Tensor, " B"]
    sigma: Float[Tensor, " B"]

    def __getitem__(self, images: slice) -> "GaussianLevel":
        """Those of some of the images."""
        return GaussianLevel(self.alpha[images], self.sigma[images])

    @property
    def snr(self) -> Float[Tensor, " B"]:
        """The signal-to-noise ratio, alpha**2 / sigma**2."""
        return (self.alpha / self.sigma).square()

    @property
    def log_snr(self) -> Float[Tensor, " B"]:
        """Its logarithm, which orders levels of any schedule."""
        return 2 * (self.alpha / self.sigma).log()


@dataclass(frozen=True, slots=True)
class DiscreteLevel:
    """States of indices, a share of which, a number an image, is replaced."""

    share: Float[Tensor, " B"]

    def __getitem__(self, images: slice) -> "DiscreteLevel":
        """Those of some of the images."""
        return DiscreteLevel(self.share[images])


Level = GaussianLevel | DiscreteLevel


def over(value: Float[Tensor, " B"]) -> Float[Tensor, "B 1 1 1"]:
    """A number an image, shaped to multiply a batch of states."""
    return value[:, None, None, None]
