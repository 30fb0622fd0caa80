import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.random import (
    Epochs,
    Turns,
    keyed_generator,
    keyed_normal,
    keyed_order,
    keyed_places,
    keyed_positions,
    keyed_seed,
    keyed_uniform,
)


@given(st.integers(0, 2**31), st.lists(st.integers(0, 2**40), min_size=1, max_size=6, unique=True))
def test_an_image_draws_the_same_whatever_its_batch(seed: int, numbers: list[int]) -> None:
    together = keyed_normal(seed, "noise", numbers, (2, 3))
    alone = [keyed_normal(seed, "noise", [number], (2, 3))[0] for number in numbers]
    np.testing.assert_array_equal(together, alone)


def test_seed_purpose_and_number_each_change_what_is_drawn() -> None:
    draws = [
        keyed_normal(0, "noise", [0], (4,)),
        keyed_normal(1, "noise", [0], (4,)),
        keyed_normal(0, "other", [0], (4,)),
        keyed_normal(0, "noise", [1], (4,)),
    ]
    assert len({array.tobytes() for array in draws}) == 4


def test_streams_of_neighbouring_images_do_not_overlap() -> None:
    streams = keyed_uniform(0, "noise", range(4), (10_000,))
    assert len(np.unique(streams.astype(np.float64))) > 0.99 * len(
        np.unique(np.random.default_rng(0).random(40_000, np.float32))
    )


def test_normal_numbers_are_standard_normal() -> None:
    drawn = keyed_normal(0, "noise", range(100), (1000,))
    # 1e5 draws: the mean's standard error is 0.0032, that of the variance 0.0045.
    assert drawn.mean() == pytest.approx(0, abs=0.015)
    assert drawn.var() == pytest.approx(1, abs=0.02)
    assert drawn.dtype == np.float32


def test_uniform_numbers_lie_below_one() -> None:
    drawn = keyed_uniform(0, "time", range(1000), (8,))
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_an_epoch_goes_through_every_image_once_and_in_its_own_order() -> None:
    first, second = keyed_order(0, 0, 100), keyed_order(0, 1, 100)
    assert sorted(first.tolist()) == list(range(100))
    assert first.tolist() != second.tolist()


@given(st.integers(1, 20), st.integers(0, 5))
def test_each_epoch_shows_every_row_once_and_in_the_order_of_that_epoch(length: int, epoch: int) -> None:
    rows = Epochs(3, length)(range(epoch * length, (epoch + 1) * length))
    np.testing.assert_array_equal(rows, keyed_order(3, epoch, length))
    assert sorted(rows.tolist()) == list(range(length))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_a_row_follows_from_the_number_of_its_image_alone(numbers: list[int]) -> None:
    # A resumed run asks for later images, each of several processes for every so manieth: all see the same rows.
    one, fresh = Epochs(0, 7), [Epochs(0, 7)([number])[0] for number in numbers]
    assert one(numbers).tolist() == fresh
    assert one(reversed(numbers)).tolist() == fresh[::-1]


def test_rows_of_another_seed_come_in_another_order() -> None:
    assert Epochs(0, 100)(range(100)).tolist() != Epochs(1, 100)(range(100)).tolist()


def test_the_numbers_of_a_key_never_change() -> None:
    # Runs that were begun with an earlier version must resume as the same run.
    assert keyed_seed(0, "sample", 0) == keyed_seed(0, "sample")
    assert keyed_generator(7, "golden", 3).integers(1000, size=4).tolist() == [844, 625, 120, 58]


def test_positions_of_images_in_a_row_cover_the_unit_evenly_and_follow_from_the_number_alone() -> None:
    positions = keyed_positions(3, range(1000, 1100))
    assert ((positions >= 0) & (positions < 1)).all()
    assert np.diff(np.sort(positions)).max() < 0.02  # evenly would be 0.01
    assert np.array_equal(positions[40:50], keyed_positions(3, range(1040, 1050)))


def test_several_sets_have_their_turns_as_often_as_they_are_long_and_show_every_row_as_often() -> None:
    lengths, batch = [60, 30, 10], 10
    turns = Turns(7, lengths, batch)
    shown = [np.zeros(length, int) for length in lengths]
    batches = np.zeros(3, int)
    for first in range(0, 2_000 * batch, batch):
        number, rows = turns(range(first, first + batch))
        np.add.at(shown[number], rows, 1)
        batches[number] += 1
    np.testing.assert_allclose(batches / batches.sum(), [0.6, 0.3, 0.1], atol=0.01)
    for seen in shown:
        assert seen.max() - seen.min() <= 1


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.integers(1, 4))
def test_whoever_asks_for_a_part_of_a_batch_gets_the_same_set_and_rows(seed: int, batch: int, ranks: int) -> None:
    turns = Turns(seed, [5, 9], 8)
    number, rows = turns(range(8 * batch, 8 * batch + 8))
    for rank in range(ranks):
        own, part = turns(range(8 * batch + rank, 8 * batch + 8, ranks))
        assert own == number
        np.testing.assert_array_equal(part, rows[rank::ranks])


def test_one_set_alone_goes_by_epochs_whatever_is_asked_for_at_once() -> None:
    number, rows = Turns(3, [50], 4)(range(1, 40))
    assert number == 0
    np.testing.assert_array_equal(rows, Epochs(3, 50)(range(1, 40)))


@given(st.integers(0, 2**31), st.integers(0, 3), st.integers(1, 600))
def test_places_are_those_of_a_permutation_whichever_are_asked_for(seed: int, epoch: int, length: int) -> None:
    found = keyed_places(seed, epoch, length, np.arange(length))
    assert sorted(found.tolist()) == list(range(length))
    some = np.arange(0, length, 3)
    np.testing.assert_array_equal(keyed_places(seed, epoch, length, some), found[some])


def test_places_are_shuffled_as_well_as_if_they_were_drawn() -> None:
    length = 50_000
    first, second = (keyed_places(0, epoch, length, np.arange(length)) for epoch in (0, 1))
    pairs = [(first, np.arange(length)), (first, second), (first[1:], first[:-1])]
    for one, other in pairs:  # the deviation of a correlation of as many independent pairs is 0.0045
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
    for start in range(0, length, 5_000):  # 500 are expected in each tenth, with a deviation of 20
        held, _ = np.histogram(first[start : start + 5_000], bins=10, range=(0, length))
        assert np.abs(held - 500).max() < 5 * 500**0.5


def test_of_many_rows_no_order_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.random._recent_order", None)
    rows = Epochs(0, 10**10)([0, 1, 10**10 - 1, 10**10, 3 * 10**10 + 5])
    assert ((rows >= 0) & (rows < 10**10)).all()
    assert len(set(rows.tolist())) == 5
