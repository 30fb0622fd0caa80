import pytest

from smalti.errors import SmaltiError
from smalti.sizes import height_width, read_size, shortest, told_size


@pytest.mark.parametrize(("text", "size"), [("64", 64), ("96x64", (96, 64)), ("64x64", 64)])
def test_a_size_is_read_height_first_and_told_alike(text: str, size: int | tuple[int, int]) -> None:
    assert read_size(text) == size
    assert read_size(told_size(size)) == size
    assert shortest(height_width(size)) == size


@pytest.mark.parametrize("text", ["", "x", "64x", "x64", "64x64x64", "6.4", "-64", "64,64", "64 x 64"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SmaltiError, match=r"is no size; give one number of pixels for a square, or height x width"):
        read_size(text)
