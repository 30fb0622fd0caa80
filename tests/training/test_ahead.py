import threading
from collections.abc import Iterator, Sequence

import pytest
import torch

from smalti.training.ahead import Ahead, Batch

ROWS = [range(first, first + 4, 2) for first in range(0, 40, 4)]


def _batch(numbers: Sequence[int]) -> Batch:
    return {"number": torch.tensor(list(numbers))}


def _following(place: int) -> Iterator[range]:
    return iter(ROWS[place:])


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_are_those_of_the_numbers_whatever_is_asked_for_next(threads: int) -> None:
    ahead = Ahead(threads)
    for place in (0, 1, 2, 7, 8, 3, 4, 9):  # also where what was begun is of no use
        assert torch.equal(ahead(_batch, _following(place))["number"], torch.tensor(list(ROWS[place])))


def test_the_next_are_made_while_nobody_asks_and_none_beyond_the_last() -> None:
    made: list[range] = []
    all_made = threading.Event()

    def batches(numbers: Sequence[int]) -> Batch:
        assert isinstance(numbers, range)
        made.append(numbers)
        if len(made) == 3:
            all_made.set()
        return _batch(numbers)

    ahead = Ahead(5)
    ahead(batches, _following(7))
    assert all_made.wait(60)
    assert sorted(made, key=ROWS.index) == ROWS[7:]
    for place in (8, 9):
        ahead(batches, _following(place))
    assert len(made) == 3


def test_batches_of_another_network_are_not_taken_for_those_that_were_begun() -> None:
    def others(numbers: Sequence[int]) -> Batch:
        return {"number": -torch.tensor(list(numbers))}

    ahead = Ahead(2)
    ahead(_batch, _following(0))
    assert ahead(others, _following(1))["number"].tolist() == [-number for number in ROWS[1]]


def test_what_goes_wrong_is_raised_where_the_batch_is_asked_for() -> None:
    def broken(numbers: Sequence[int]) -> Batch:
        if numbers == ROWS[1]:
            raise OSError("the disk is gone")
        return _batch(numbers)

    ahead = Ahead(2)
    ahead(broken, _following(0))
    with pytest.raises(OSError, match="disk is gone"):
        ahead(broken, _following(1))
