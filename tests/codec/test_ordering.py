import torch
from hypothesis import given
from hypothesis import strategies as st

from smalti.codec.codec import Codec
from smalti.codec.ordering import ordinal_order, principal_coordinates


@given(st.integers(2, 40), st.integers(1, 9), st.integers(0, 1000))
def test_the_order_is_a_permutation_along_the_first_component(codewords: int, dimension: int, seed: int) -> None:
    book = torch.randn(codewords, dimension, generator=torch.Generator().manual_seed(seed))
    order = ordinal_order(book)
    assert sorted(order.tolist()) == list(range(codewords))
    along = principal_coordinates(book[order], 1)[:, 0]
    assert (along.diff() >= -1e-4).all()


def test_components_are_those_of_pca() -> None:
    book = torch.randn(50, 6, dtype=torch.float64).float() * torch.tensor([1.0, 9, 3, 1, 1, 1])
    coordinates = principal_coordinates(book, 3)
    values = torch.linalg.eigvalsh(torch.cov(book.double().T, correction=0)).flip(0)[:3]
    torch.testing.assert_close(coordinates.double().var(0, correction=0), values, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(coordinates.mean(0), torch.zeros(3), atol=1e-4, rtol=0)


def test_brighter_is_larger() -> None:
    ramp = torch.linspace(-100, 100, 16)[:, None] + torch.randn(16, 4)
    for book in (ramp, ramp.flip(0)):
        brightness = book[ordinal_order(book)].mean(1)
        assert brightness[0] < -90
        assert brightness[-1] > 90


def test_the_sign_of_a_component_without_brightness_is_fixed_too() -> None:
    # Codewords along (1, -1): mirrored data span the same line, and must give the same axis.
    book = torch.tensor([[-1.0, 1], [0, 0], [2, -2]])
    assert principal_coordinates(book, 1)[:, 0].argsort().tolist() == [0, 1, 2]
    assert principal_coordinates(-book, 1)[:, 0].argsort().tolist() == [2, 1, 0]


def test_components_past_the_dimension_are_zero() -> None:
    coordinates = principal_coordinates(torch.randn(10, 2), 4)
    assert coordinates.shape == (10, 4)
    assert not coordinates[:, 2:].any()


def test_a_step_along_a_sorted_codebook_is_smaller_than_along_a_shuffled_one(codec: Codec) -> None:
    def step(book: torch.Tensor) -> float:
        return book.diff(dim=0).square().sum(1).mean().item()

    for channel, size in enumerate(codec.spec.codewords):
        book = codec.codebooks[channel, :size]
        shuffled = book[torch.randperm(size, generator=torch.Generator().manual_seed(channel))]
        assert step(book) < 0.8 * step(shuffled)
