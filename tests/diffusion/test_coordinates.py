import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smalti.codec import Codec
from smalti.diffusion import Coordinates
from smalti.errors import SmaltiError


def _every_index(codec: Codec) -> torch.Tensor:
    """A latent that holds every index of every channel at least once: (1, c, 1, K)."""
    largest = codec.codebooks.shape[1]
    return torch.stack([torch.arange(largest) % size for size in codec.spec.codewords])[None, :, None]


def _with_codebooks(books: torch.Tensor) -> Codec:
    codec = Codec(spec=f"VQ-4@4/{int(books.shape[-1] ** 0.5)}")
    codec.codebooks.copy_(books)
    return codec


@pytest.mark.parametrize(("kind", "k"), [("rank", 1), ("principal", 1), ("principal", 4), ("principal", 16)])
def test_snapping_an_embedded_index_gives_it_back(codec: Codec, kind: str, k: int) -> None:
    coordinates = Coordinates.of(codec, kind, k)  # pyright: ignore[reportArgumentType]
    z = _every_index(codec)
    assert torch.equal(coordinates.snap(coordinates.embed(z)), z)


@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans())
def test_snapping_decodes_to_the_same_patch_where_codewords_coincide(seed: int, k: int, rank: bool) -> None:
    # Few distinct values in a few dimensions: equal codewords, and different ones with equal coordinates.
    random = torch.Generator().manual_seed(seed)
    codec = _with_codebooks(torch.randint(0, 2, (1, 16, 4), generator=random).float() * 50)
    coordinates = Coordinates.of(codec, "rank" if rank else "principal", 1 if rank else k)
    z = _every_index(codec)
    assert torch.equal(codec.decode(coordinates.snap(coordinates.embed(z))), codec.decode(z))


def test_all_coordinates_snap_to_the_nearest_codeword(codec: Codec) -> None:
    # With every principal component the map is a rotation and a scale: nearest stays nearest.
    n = codec.spec.dimension
    coordinates = Coordinates.of(codec, "principal", n)
    book = codec.codebooks[0, : codec.spec.codewords[0]]
    points = book[torch.randint(len(book), (40,))] + 10 * torch.randn(40, n)
    nearest = torch.cdist(points, book).argmin(1)
    table = coordinates.table[0, : len(book)]
    rotation = torch.linalg.lstsq(book - book.mean(0), table - table.mean(0)).solution
    embedded = (points - book.mean(0)) @ rotation + table.mean(0)
    x = torch.zeros(1, coordinates.channels * n, 1, 40)
    x[0, :n, 0] = embedded.T
    assert torch.equal(coordinates.snap(x)[0, 0, 0], nearest)


def test_latents_as_they_occur_have_mean_0_and_variance_1(codec: Codec, photo: torch.Tensor) -> None:
    z = codec.encode(photo[None])
    largest = codec.codebooks.shape[1]
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=largest) for channel in z[0]])
    for k in (1, 4):
        coordinates = Coordinates.of(codec, "principal", k, counts)
        x = coordinates.embed(z).unflatten(1, (coordinates.channels, k))
        torch.testing.assert_close(x.mean((0, 3, 4)), torch.zeros(coordinates.channels, k), atol=1e-4, rtol=0)
        torch.testing.assert_close(x.square().mean((0, 2, 3, 4)), torch.ones(coordinates.channels), atol=1e-3, rtol=0)


def test_padded_rows_are_never_snapped_to(codec: Codec) -> None:
    coordinates = Coordinates.of(codec, "principal", 2)
    z = coordinates.snap(100 * torch.randn(4, coordinates.channels * 2, 8, 8))
    limits = torch.tensor(codec.spec.codewords)[:, None, None]
    assert ((z >= 0) & (z < limits)).all()


def test_the_mean_of_a_one_hot_distribution_is_the_embedding(codec: Codec) -> None:
    coordinates = Coordinates.of(codec, "principal", 3)
    z = _every_index(codec)
    p = torch.nn.functional.one_hot(z, codec.codebooks.shape[1]).permute(0, 1, 4, 2, 3).float()
    torch.testing.assert_close(coordinates.mean(p), coordinates.embed(z))


def test_bounds_hold_every_codeword_tightly(codec: Codec) -> None:
    coordinates = Coordinates.of(codec, "principal", 2)
    low, high = coordinates.bounds()
    x = coordinates.embed(_every_index(codec))
    torch.testing.assert_close(x.amin((0, 2, 3)), low.flatten())
    torch.testing.assert_close(x.amax((0, 2, 3)), high.flatten())


def test_ranks_are_evenly_spaced_and_in_order(codec: Codec) -> None:
    coordinates = Coordinates.of(codec, "rank", 1)
    for channel, size in enumerate(codec.spec.codewords):
        steps = coordinates.table[channel, :size, 0].diff()
        assert steps.min() > 0
        torch.testing.assert_close(steps, steps.mean().expand(size - 1))


def test_a_codebook_of_one_point_does_not_divide_by_zero() -> None:
    coordinates = Coordinates.of(_with_codebooks(torch.ones(1, 16, 4)), "principal", 2)
    assert coordinates.table.isfinite().all()


@pytest.mark.parametrize(("kind", "k"), [("rank", 2), ("principal", 0), ("principal", 17), ("polar", 1)])
def test_coordinates_that_there_are_not_are_refused(codec: Codec, kind: str, k: int) -> None:
    if kind == "polar":
        with pytest.raises(Exception, match="polar"):
            Coordinates.of(codec, kind, k)  # pyright: ignore[reportArgumentType]
        return
    with pytest.raises(SmaltiError, match=str(k)):
        Coordinates.of(codec, kind, k)  # pyright: ignore[reportArgumentType]
