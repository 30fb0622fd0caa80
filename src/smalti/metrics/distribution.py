"""How far one set of pictures is from another, by the features that a network sees in them.

Everything here takes features (N, d) and computes in float64. Distances of all pairs are taken a block at a time, so
that 50,000 pictures fit in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from smalti.errors import SmaltiError

_BLOCK = 2**24  # pairs whose distances are held at a time
_CONFIDENCE = 1.959963984540054  # half the width of a 95 % interval, in standard errors of a normal distribution
_GROUPS = 10  # of the jackknife

Features = Float[Tensor, "N d"]
OtherFeatures = Float[Tensor, "M d"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure and the half width of its 95 % confidence interval, None where none is known."""

    value: float
    plus_minus: float | None

    def __str__(self) -> str:
        """Both, to one digit after the point."""
        return f"{self.value:.1f}" + ("" if self.plus_minus is None else f" ± {self.plus_minus:.1f}")

    @property
    def thousandfold(self) -> "Measured":
        """A thousand times as much, as kernel distances are mostly told."""
        return Measured(1000 * self.value, None if self.plus_minus is None else 1000 * self.plus_minus)


class Moments(NamedTuple):
    """Mean and covariance of features: all that the Fréchet distance looks at."""

    mu: Float[Tensor, " d"]
    sigma: Float[Tensor, "d d"]

    @classmethod
    def of(cls, features: Features) -> "Moments":
        """Mean, and covariance with N - 1 in the denominator."""
        exact = features.double()
        return cls(exact.mean(0), torch.cov(exact.T).reshape(exact.shape[1], -1))

    def save(self, path: Path) -> None:
        """Write an `.npz` with `mu` and `sigma`, as clean-fid and pytorch-fid do."""
        np.savez(path, mu=self.mu.cpu().numpy(), sigma=self.sigma.cpu().numpy())

    @classmethod
    def load(cls, path: Path) -> "Moments":
        """Read an `.npz` with `mu` and `sigma`.

        Raises:
            SmaltiError: the file is no such archive, or the two do not match.
        """
        try:
            with path.open("rb") as file, np.load(file) as archive:
                mu, sigma = archive["mu"], archive["sigma"]
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise SmaltiError(f"{path}: holds no mu and sigma ({error}); name an .npz of clean-fid's kind.") from error
        if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
            raise SmaltiError(f"{path}: mu of shape {mu.shape} and sigma of {sigma.shape} do not match; name another.")
        return cls(torch.from_numpy(mu).double(), torch.from_numpy(sigma).double())


def frechet_distance(a: Moments, b: Moments) -> float:
    """Squared Fréchet distance of two normal distributions (Heusel et al. 2017): FID, given Inception features.

    |mu_a - mu_b|**2 + Tr(S_a + S_b - 2 (S_a S_b)**(1/2)).
    """
    return _frechet(a, b, _root(b.sigma))


def frechet_distance_of(generated: Features, reference: Moments) -> Measured:
    """The Fréchet distance of generated pictures to a reference, with an interval by the jackknife over ten groups.

    The interval tells how far another set of as many samples would come out; the distance itself is biased upwards by
    few samples, the same for all models measured with that number.
    """
    root = _root(reference.sigma)
    value = _frechet(Moments.of(generated), reference, root)
    if len(generated) < 2 * _GROUPS:
        return Measured(value, None)
    # Shuffled: pictures often come class after class, and a group must not be a class.
    order = torch.randperm(len(generated), generator=torch.Generator().manual_seed(0))
    group = (order % _GROUPS).to(generated.device)
    left_out = [_frechet(Moments.of(generated[group != number]), reference, root) for number in range(_GROUPS)]
    return Measured(value, _CONFIDENCE * float(np.sqrt((_GROUPS - 1) * np.var(left_out))))


def kernel_distance(generated: Features, reference: OtherFeatures) -> Measured:
    """Kernel Inception distance (Binkowski et al. 2018): the squared maximum mean discrepancy, unbiased.

    The kernel is (x.y / d + 1)**3. All pairs count, where others average random subsets, so the figure has no
    randomness of its own. The interval comes from the variance of the two-sample U-statistic's projections, which ask
    of each picture how much it alone moves the result.

    Raises:
        SmaltiError: a set has fewer than two pictures.
    """
    n, m = len(generated), len(reference)
    if min(n, m) < 2:
        raise SmaltiError(f"a kernel distance of {n} to {m} pictures: give at least 2 of each.")
    x, y = generated.double(), reference.double()
    within_x = (_kernel_sums(x, x) - _kernel(x, x)) / (n - 1)
    within_y = (_kernel_sums(y, y) - _kernel(y, y)) / (m - 1)
    x_to_y, y_to_x = _kernel_sums(x, y) / m, _kernel_sums(y, x) / n
    value = within_x.mean() + within_y.mean() - x_to_y.mean() - y_to_x.mean()
    variance = 4 * ((within_x - x_to_y).var() / n + (within_y - y_to_x).var() / m)
    return Measured(float(value), _CONFIDENCE * float(variance.sqrt()))


def precision_recall(generated: Features, reference: OtherFeatures, neighbours: int = 3) -> tuple[float, float]:
    """Precision and recall (Kynkäänniemi et al. 2019).

    The share of generated pictures that lie in the ball around any reference picture which reaches to its k-th nearest
    reference picture, and the same with the roles exchanged.
    """
    inside_reference = _inside(generated, reference, _radii(reference, neighbours))
    inside_generated = _inside(reference, generated, _radii(generated, neighbours))
    return float((inside_reference > 0).double().mean()), float((inside_generated > 0).double().mean())


def density_coverage(generated: Features, reference: OtherFeatures, neighbours: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020).

    How many reference balls a generated picture lies in, over k; and the share of reference balls that hold one.
    """
    radii = _radii(reference, neighbours)
    density = _inside(generated, reference, radii).double().mean() / neighbours
    nearest = torch.cat([distances.amin(1) for distances in _distances(reference, generated)])
    return float(density), float((nearest < radii).double().mean())


def nearest(queries: Features, reference: OtherFeatures, count: int = 1) -> tuple[Tensor, Tensor]:
    """The `count` nearest of `reference` to every query: their distances and positions, each (N, count)."""
    found = [distances.topk(count, dim=1, largest=False) for distances in _distances(queries, reference)]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _frechet(a: Moments, b: Moments, root: Float[Tensor, "d d"]) -> float:
    """`root` is S_b**(1/2); the trace of (S_a S_b)**(1/2) is that of the root of the symmetric `root S_a root`."""
    cross = torch.linalg.eigvalsh(root @ a.sigma @ root).clamp(min=0).sqrt().sum()
    return float((a.mu - b.mu).square().sum() + a.sigma.trace() + b.sigma.trace() - 2 * cross)


def _root(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def _kernel(x: Features, y: Features) -> Float[Tensor, " N"]:
    """The kernel of x[i] and y[i]."""
    return ((x * y).sum(1) / x.shape[1] + 1) ** 3


def _kernel_sums(x: Features, y: OtherFeatures) -> Float[Tensor, " N"]:
    """For each row of x the sum of the kernel with all rows of y."""
    parts = x.split(max(1, _BLOCK // len(y)))
    return torch.cat([((part @ y.T / x.shape[1] + 1) ** 3).sum(1) for part in parts])


def _distances(x: Features, y: OtherFeatures) -> Iterator[Float[Tensor, "n M"]]:
    """Euclidean distances of all rows, some rows of x at a time."""
    exact: Any = y.double()
    for part in x.split(max(1, _BLOCK // len(y))):
        yield torch.cdist(part.double(), exact)


def _radii(points: Features, neighbours: int) -> Float[Tensor, " N"]:
    """Distance of each point to its k-th nearest other."""
    if len(points) <= neighbours:
        raise SmaltiError(f"{len(points)} pictures have no {neighbours} neighbours each; give more.")
    # The nearest of all is the point itself.
    return torch.cat([part.kthvalue(neighbours + 1, dim=1).values for part in _distances(points, points)])


def _inside(x: Features, centres: OtherFeatures, radii: Float[Tensor, " M"]) -> Float[Tensor, " N"]:
    """In how many of the balls each row of x lies."""
    return torch.cat([(part < radii).sum(1).double() for part in _distances(x, centres)])
