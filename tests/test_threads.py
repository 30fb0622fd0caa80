import threading

import pytest
import torch

from smalti.threads import in_parts, on_cores


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
