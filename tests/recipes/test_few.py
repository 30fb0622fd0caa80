import pytest

from smalti.data import CropSettings
from smalti.errors import SmaltiError
from smalti.recipes.few import (
    expected,
    held_out_count,
    held_views,
    told_of_guard,
    told_of_held_out,
    varied,
    views_of,
)
from smalti.training import HeldOutLoss


@pytest.mark.parametrize(
    ("photos", "held"), [(1, 0), (19, 0), (20, 4), (50, 5), (500, 50), (999, 100), (4_999, 100), (5_000, 0)]
)
def test_of_few_photos_a_tenth_is_held_out_and_of_very_few_or_many_none(photos: int, held: int) -> None:
    assert held_out_count(photos, None) == held
    assert held_out_count(photos, 0) == 0
    assert (str(held) in told_of_held_out(held, photos)) == (held > 0)


def test_not_all_photos_can_be_held_out() -> None:
    assert held_out_count(10, 9) == 9
    with pytest.raises(SmaltiError, match="leave none to train on"):
        held_out_count(10, 10)


def test_the_fewer_photos_the_more_views_and_more_still_if_they_are_to_vary() -> None:
    plain, more = (
        [views_of(photos, augment) for photos in (1, 500, 1_000, 4_000, 10_000)] for augment in (False, True)
    )
    assert plain == [8, 8, 5, 1, 1]
    assert more == [32, 20, 10, 2, 1]
    assert [held_views(views) for views in plain] == [2, 2, 2, 1, 1]


def test_colours_vary_only_where_that_is_asked_for() -> None:
    crop = CropSettings(size=16)
    assert varied(crop, 1, augment=False) == crop
    assert varied(crop, 2, augment=False) == CropSettings(size=16, crop="random")
    assert varied(crop, 2, augment=True).colour > 0


def test_what_is_to_be_expected_is_said_where_it_is_little() -> None:
    assert "a single photo" in expected(1, 100_000)
    assert "1,928 images are few" in expected(300, 1_928)
    assert expected(500, 100_000) == ""


def test_what_the_guard_did_is_said() -> None:
    risen = HeldOutLoss([64, 128, 192], [3.0, 2.0, 2.5])
    fallen = HeldOutLoss([64, 128], [3.0, 2.0])
    assert told_of_guard(HeldOutLoss([], []), 128, 128, True) == ""
    assert "ended after 192 of 640 images" in told_of_guard(risen, 192, 640, True)
    assert "--resume --no-guard" in told_of_guard(risen, 192, 640, True)
    assert told_of_guard(risen, 192, 192, True).endswith("the weights of then are kept")
    assert "there is no guard" in told_of_guard(risen, 192, 192, False)
    assert told_of_guard(fallen, 128, 128, True).endswith("lowest at the end (2)")
