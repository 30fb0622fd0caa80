from itertools import count, islice

from hypothesis import given
from hypothesis import strategies as st

from smalti.iterables import batched


@given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
def test_batches_are_full_but_for_the_last_and_hold_all_items_in_order(items: list[int], size: int) -> None:
    batches = list(batched(iter(items), size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(0 < len(batch) <= size for batch in batches)


def test_no_more_is_asked_for_than_is_needed() -> None:
    numbers = count()
    assert list(islice(batched(numbers, 3), 2)) == [[0, 1, 2], [3, 4, 5]]
    assert next(numbers) == 6
