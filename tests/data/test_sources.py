import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import torch

from smalti.data import Images, open_images
from smalti.errors import SmaltiError

Png = Callable[[int], bytes]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _values(images: Images) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in images]


def test_a_folder_is_searched_through_in_order(flat: Path, png: Png) -> None:
    (flat / "deeper" / "still").mkdir(parents=True)
    (flat / "deeper" / "still" / "4.PNG").write_bytes(png(4))
    images = open_images(flat)
    assert len(images) == 4
    assert _values(images) == [1, 2, 3, 4]
    assert images.classes == []
    assert [picture.labels for picture in images.pictures()] == [()] * 4


def test_sub_folders_are_classes(photo_folder: Path) -> None:
    images = open_images(photo_folder, size=16)
    assert images.classes == ["cats", "others"]
    assert len(images) == 24
    for picture in images.pictures():
        (label,) = picture.labels
        assert picture.name.startswith(images.classes[label])


def test_a_zip_is_the_folder_that_was_packed(photo_folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photo_folder.rglob("*.png")):
            archive.write(path, Path("my photos") / path.relative_to(photo_folder))
        archive.writestr("__MACOSX/my photos/cats/._00.png", b"not an image")
    packed, plain = open_images(tmp_path / "photos.zip"), open_images(photo_folder)
    assert packed.classes == plain.classes
    for one, two in zip(packed.pictures(), plain.pictures(), strict=True):
        assert (one.name, one.labels) == (f"my photos/{two.name}", two.labels)
        assert torch.equal(one.pixels, two.pixels)


@pytest.mark.parametrize("labels", ["none", "cls", "json"])
def test_tar_shards_are_read_in_order_with_their_labels(tmp_path: Path, labels: str, png: Png) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(2):
        with tarfile.open(folder / f"shard-{shard}.tar", "w") as tar:
            for number in range(3):
                value = 3 * shard + number
                _add(tar, f"photo{value}.png", png(value))
                if labels == "cls":
                    _add(tar, f"photo{value}.cls", str(10 + value % 2).encode())
                if labels == "json":
                    _add(tar, f"photo{value}.json", json.dumps({"label": ["dog", "cat"][value % 2]}).encode())
    for source in (folder, str(folder / "*.tar")):
        images = open_images(source)
        assert _values(images) == list(range(6))
        assert images.classes == {"none": [], "cls": ["10", "11"], "json": ["cat", "dog"]}[labels]
        expected = {"none": [()] * 6, "cls": [(0,), (1,)] * 3, "json": [(1,), (0,)] * 3}[labels]
        assert [picture.labels for picture in images.pictures()] == expected
    assert len(open_images(folder / "shard-0.tar")) == 3


def test_parquet_is_read_with_its_class_names(tmp_path: Path, png: Png) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [{"bytes": png(value), "path": None} for value in (5, 6)], "label": [1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "some.parquet")
    images = open_images(tmp_path / "some.parquet")
    assert images.classes == ["a", "b"]
    assert [(int(p.pixels[0, 0, 0]), p.labels) for p in images.pictures()] == [(5, (1,)), (6, (0,))]


def test_a_glob_and_a_single_image(flat: Path) -> None:
    assert _values(open_images(str(flat / "[12].png"))) == [1, 2]
    assert _values(open_images(str(flat.parent / "**" / "3.png"))) == [3]
    assert _values(open_images(flat / "3.png")) == [3]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "absent", "no such file"),
        (lambda folder: folder, "holds no images"),
        (lambda folder: str(folder / "*.jpg"), "matches no files"),
        (lambda folder: _write(folder / "a.txt", b"text").parent, "holds no images"),
        (lambda folder: _write(folder / "a.txt", b"text"), "holds no images"),
        (lambda folder: _write(folder / "a.zip", b"text"), "zip"),
        (lambda folder: _write(folder / "a.tar", b"text"), "as a tar"),
        (lambda folder: _empty_zip(folder / "b.zip"), "no images"),
        (lambda folder: "someone/no-such-dataset", "Hub"),
    ],
)
def test_what_holds_no_images_is_named(tmp_path: Path, make: object, says: str) -> None:
    with pytest.raises(SmaltiError, match=says) as caught:
        open_images(make(tmp_path))  # pyright: ignore
    assert "\n" not in str(caught.value)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _empty_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    return path
