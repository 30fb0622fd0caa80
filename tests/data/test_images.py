import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from smalti.data import CropSettings, Images, open_images
from smalti.errors import SmaltiError
from smalti.processes import cores

Png = Callable[[int], bytes]


def _values(images: Images) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in images]


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "Too many open files")])
def test_what_the_machine_lacks_is_no_fault_of_a_picture(
    photo_folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("smalti.data.images.decode_picture", fails)
    with pytest.raises(type(error)):
        list(open_images(photo_folder))


def test_unreadable_images_are_left_out_counted_once_and_named(flat: Path, png: Png) -> None:
    (flat / "0-fake.jpg").write_text("text")
    (flat / "0-void.jpg").touch()
    (flat / "2-cut.png").write_bytes(png(7)[:50])
    images = open_images(flat, size=8)
    assert len(images) == 6
    for _ in range(2):
        assert _values(images) == [1, 2, 3]
    assert [name for name, _ in images.skipped] == ["0-fake.jpg", "0-void.jpg", "2-cut.png"]
    assert dict(images.skipped)["0-void.jpg"] == "an empty file"
    assert [picture.number for picture in images.pictures()] == [2, 4, 5]
    with pytest.raises(SmaltiError, match=r"0-fake\.jpg"):
        list(open_images(flat, strict=True))


def test_a_folder_of_nothing_but_fakes_is_refused_when_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(SmaltiError, match="not one of 1 images"):
        list(open_images(tmp_path))


def test_a_sample_is_a_subset_in_order_and_repeats(photo_folder: Path) -> None:
    images = open_images(photo_folder, size=16)
    chosen = [picture.number for picture in images.sample(8, seed=1).pictures()]
    assert len(chosen) == 8
    assert chosen == sorted(set(chosen))
    assert chosen == [picture.number for picture in images.sample(8, seed=1).pictures()]
    assert chosen != [picture.number for picture in images.sample(8, seed=2).pictures()]
    assert len(images.sample(100)) == 24
    for picture in images.sample(3).pictures():
        assert torch.equal(picture.pixels, list(images)[picture.number])


def test_a_split_is_all_images_once(photo_folder: Path) -> None:
    images = open_images(photo_folder, size=16)
    one, other = images.split(10, seed=3)
    assert (len(one), len(other)) == (10, 14)
    assert sorted(one.names + other.names) == sorted(images.names)
    assert one.names == images.sample(10, seed=3).names
    with pytest.raises(SmaltiError, match="images is 0"):
        images.split(0)


def test_cropped_otherwise_they_are_the_same_images(flat: Path, photo_folder: Path) -> None:
    images = open_images(photo_folder, size=16, strict=True).sample(8, seed=1)
    settings = CropSettings(size=12, crop="stretch", mode="L", seed=3)
    other = images.cropped(settings)
    assert (other.names, other.classes, other.source) == (images.names, images.classes, images.source)
    assert (other.settings, images.settings) == (settings, CropSettings(size=16))
    expected = list(open_images(photo_folder, size=12, crop="stretch", mode="L", seed=3).sample(8, seed=1))
    for one, two in zip(other, expected, strict=True):
        assert torch.equal(one, two)
    assert other.fingerprint != images.fingerprint == other.cropped(images.settings).fingerprint
    # As strict as they were, and what the others could not read is none of their skipped.
    (flat / "0-fake.png").write_text("text")
    lenient = open_images(flat, size=8)
    assert _values(lenient) == [1, 2, 3]
    assert len(lenient.skipped) == 1
    assert lenient.cropped(CropSettings(size=4)).skipped == []
    with pytest.raises(SmaltiError, match=r"0-fake\.png"):
        list(open_images(flat, size=8, strict=True).cropped(CropSettings(size=4)))


def test_views_are_other_random_crops_one_after_the_other(photo_folder: Path) -> None:
    images = open_images(photo_folder, size=16, crop="random").sample(4)
    seen = list(images.views(2))
    assert len(seen) == 8
    for number, pixels in enumerate([*images.pictures(0), *images.pictures(1)]):
        assert torch.equal(seen[number], pixels.pixels)
    assert not torch.equal(torch.stack(seen[:4]), torch.stack(seen[4:]))


def test_the_fingerprint_follows_files_and_settings_and_not_the_place(flat: Path, tmp_path: Path, png: Png) -> None:
    before = open_images(flat, size=8).fingerprint
    assert open_images(flat, size=8).fingerprint == before
    shutil.copytree(flat, tmp_path / "copy")
    assert open_images(tmp_path / "copy", size=8).fingerprint == before
    assert open_images(flat, size=9).fingerprint != before
    (flat / "4.png").write_bytes(png(4))
    assert open_images(flat, size=8).fingerprint != before


def test_stopping_in_the_middle_leaves_no_thread_at_work(photo_folder: Path) -> None:
    for number, _ in enumerate(open_images(photo_folder).pictures()):
        if number == 2:
            break


def test_large_pictures_are_not_decoded_by_the_dozen_before_they_are_asked_for(
    tmp_path: Path, png: Png, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        (tmp_path / f"{number:02d}.png").write_bytes(png(number))
    monkeypatch.setattr("smalti.threads._AHEAD_BYTES", 1)  # as if none of them fitted
    decoded: list[int] = []
    decode = Images._decode

    def counted(self: Images, number: int, view: int) -> Any:
        decoded.append(number)
        return decode(self, number, view)

    monkeypatch.setattr(Images, "_decode", counted)
    images = iter(open_images(tmp_path))
    for taken in range(1, 41):
        next(images)
        assert len(decoded) <= taken + cores()
    assert sorted(decoded) == list(range(40))
