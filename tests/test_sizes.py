from math import log, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import SmaltiError
from smalti.sizes import height_width, nearest_size, read_size, shortest, sizes_like, told_size


@pytest.mark.parametrize(("text", "size"), [("64", 64), ("96x64", (96, 64)), ("64x64", 64)])
def test_a_size_is_read_height_first_and_told_alike(text: str, size: int | tuple[int, int]) -> None:
    assert read_size(text) == size
    assert read_size(told_size(size)) == size
    assert shortest(height_width(size)) == size


@pytest.mark.parametrize("text", ["", "x", "64x", "x64", "64x64x64", "6.4", "-64", "64,64", "64 x 64"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SmaltiError, match=r"is no size; give one number of pixels for a square, or height x width"):
        read_size(text)


@given(st.integers(1, 64), st.sampled_from([2, 4, 8, 16]))
def test_sizes_like_a_square_are_of_whole_patches_about_its_area_and_turned_as_well(side: int, patch: int) -> None:
    sizes = sizes_like(side * patch, patch)
    assert sizes[0] == (side * patch, side * patch)
    assert len(set(sizes)) == len(sizes) <= 9
    assert {(width, height) for height, width in sizes} == set(sizes)
    for height, width in sizes:
        assert height % patch == width % patch == 0
        assert abs(prod((height, width)) / patch**2 - side**2) <= min(height, width) / patch / 2  # half a place a row
        assert 1 / 2.25 < height / width < 2.25
    if side >= 16:
        longest = max(height / width for height, width in sizes)
        assert longest == pytest.approx(2, rel=0.1)


@given(st.tuples(st.integers(1, 5_000), st.integers(1, 5_000)))
def test_the_nearest_size_is_that_which_a_crop_keeps_most_of(shape: tuple[int, int]) -> None:
    sizes = sizes_like(64, 4)
    height, width = nearest_size(shape, sizes)

    def kept(size: tuple[int, int]) -> float:
        asked, own = size[0] / size[1], shape[0] / shape[1]
        return min(asked / own, own / asked)

    assert log(kept((height, width))) == pytest.approx(log(max(map(kept, sizes))))
