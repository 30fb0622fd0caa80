from math import log, pi

import pytest
import torch

from smalti.codec import Codec
from smalti.diffusion import Coordinates, GaussianLevel, entropy, independent_cross_entropy

COUNTS = torch.tensor([[100, 300, 600, 0]])
PLACES = 10_000


def _coordinates(*points: float) -> Coordinates:
    """One channel of codewords on a line; there are four places for them, the rest is padding."""
    coordinates = Coordinates(1, 4, 1)
    coordinates.table.fill_(torch.inf)
    coordinates.table[0, : len(points), 0] = torch.tensor(points)
    return coordinates


def _level(*sigma: float) -> GaussianLevel:
    deviations = torch.tensor(sigma)
    return GaussianLevel((1 - deviations.square()).sqrt(), deviations)


def _bound(coordinates: Coordinates, counts: torch.Tensor, sigma: float) -> float:
    return float(independent_cross_entropy(coordinates, counts, _level(sigma), PLACES))


def test_the_entropy_is_that_of_the_counts_and_the_mean_over_channels() -> None:
    expected = -sum(share * log(share) for share in (0.1, 0.3, 0.6))
    assert entropy(COUNTS) == pytest.approx(expected, rel=1e-5)
    assert entropy(torch.tensor([[0, 0, 9, 0], [7, 7, 7, 7]])) == pytest.approx(log(4) / 2, rel=1e-5)


def test_without_noise_a_place_tells_all_of_itself() -> None:
    assert _bound(_coordinates(-1.0, 0.0, 2.0), COUNTS, sigma=1e-3) == pytest.approx(0, abs=1e-6)


def test_under_noise_alone_nothing_is_left_but_the_counts() -> None:
    # The deviation of log p is 0.6, that of a mean of 10,000 a hundredth of it: five of these.
    assert _bound(_coordinates(-1.0, 0.0, 2.0), COUNTS, sigma=1.0) == pytest.approx(entropy(COUNTS), abs=5 * 0.006)


def test_two_codewords_are_told_apart_as_well_as_the_noise_lets_them() -> None:
    """For points at -1 and 1, equally often, the bound is the mean of log(1 + exp(-2 r (r + x))), x being normal."""
    sigma = 0.8
    ratio = (1 - sigma**2) ** 0.5 / sigma
    x = torch.linspace(-8, 8, 4_001, dtype=torch.float64)
    density = (-x.square() / 2).exp() / (2 * pi) ** 0.5
    expected = torch.trapezoid(density * (-2 * ratio * (ratio + x)).exp().log1p(), x)
    found = _bound(_coordinates(-1.0, 1.0), torch.tensor([[50, 50, 0, 0]]), sigma)
    assert found == pytest.approx(float(expected), abs=5 * 0.006)


def test_the_bound_rises_with_the_noise_up_to_the_entropy(codec: Codec) -> None:
    coordinates = Coordinates.of(codec, k=2)
    counts = torch.arange(1, coordinates.codewords + 1).expand(coordinates.channels, -1)
    counts = counts.masked_fill(coordinates.table[..., 0].isinf(), 0)
    little, more, all_but = independent_cross_entropy(coordinates, counts, _level(0.001, 0.3, 0.9999)).tolist()
    assert 0 <= little < 0.01 * all_but
    assert little < more < all_but
    assert all_but == pytest.approx(entropy(counts), rel=0.02)
