import threading
from collections.abc import Iterator
from contextlib import closing
from time import sleep

import pytest
import torch

from smalti.threads import in_parts, in_turn, joined, on_cores, pool_of_cores


def test_parts_are_worked_on_in_order_by_threads_of_a_core_and_all_is_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    seen = set()

    def work(part: int) -> tuple[int, int, bool]:
        seen.add(threading.get_ident())
        return part, torch.get_num_threads(), torch.is_grad_enabled()

    try:
        with torch.no_grad():
            assert on_cores(work, range(20)) == [(part, 1, False) for part in range(20)]
        assert threading.get_ident() not in seen
        assert torch.get_num_threads() == 3
        torch.set_num_threads(1)
        assert on_cores(lambda _: threading.get_ident(), range(2)) == [threading.get_ident()] * 2
    finally:
        torch.set_num_threads(before)


def test_a_failure_in_a_part_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        on_cores(lambda part: 1 / part, [1, 0, 1])
    assert on_cores(lambda part: part, []) == []


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_batches_go_in_parts_and_come_back_whole(count: int) -> None:
    x, y = torch.arange(14).reshape(7, 2), torch.arange(7)
    assert in_parts(lambda a, b, c: a + b[:, None] if c is None else c, count, x, y, None).equal(x + y[:, None])
    assert in_parts(lambda a, none: a, count, x[:0], None).equal(x[:0])


@pytest.mark.parametrize("nbytes", [0, 1, 2**26, 2**40])
def test_parts_of_an_iterator_come_in_order_and_no_more_of_them_are_begun_than_memory_is_for(nbytes: int) -> None:
    asked: list[int] = []

    def parts() -> Iterator[int]:
        for part in range(12):
            asked.append(part)
            yield part

    def work(part: int) -> int:
        sleep(0.01 * (part % 3))  # so that they do not end in order
        return part

    found = in_turn(pool_of_cores(3), work, parts(), lambda part: nbytes, least=1, most=5)
    ahead = {0: 1, 1: 5, 2**26: 2, 2**40: 1}[nbytes]
    for taken, part in enumerate(found):
        assert part == taken
        assert len(asked) == min(12, taken + 1 + (ahead if taken else 1))
    assert taken == 11


def test_a_failure_of_one_part_is_raised_in_its_turn_and_later_ones_are_not_begun() -> None:
    begun: list[int] = []

    def work(part: int) -> float:
        begun.append(part)
        return 1 / (part - 2)

    with closing(in_turn(pool_of_cores(1), work, iter(range(100)), lambda part: 1, least=1, most=3)) as found:
        assert [next(found), next(found)] == [-0.5, -1.0]
        with pytest.raises(ZeroDivisionError):
            next(found)
    assert len(begun) < 10


@pytest.mark.parametrize("stored", [(0, 1, 2, 3), (0, 2, 3, 1), (1, 0, 2, 3), (3, 2, 1, 0)])
def test_batches_are_joined_as_they_are_stored(stored: tuple[int, ...]) -> None:
    back = [stored.index(dim) for dim in range(4)]

    def batch(count: int) -> torch.Tensor:
        shape = (count, 3, 4, 5)
        return torch.randn([shape[dim] for dim in stored]).permute(back)

    parts = [batch(2), batch(1), batch(3)]
    whole = joined(parts)
    assert whole.equal(torch.cat(parts))
    assert whole.permute(stored).is_contiguous()
    assert joined(parts[:1]) is parts[0]
