import io
import json
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import datasets
import lmdb
import pytest
import torch
from PIL import Image

from smalti.data import Images, open_images
from smalti.files import SmaltiError


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 8), (value, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def _values(images: Images) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in images]


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    folder = tmp_path / "flat"
    folder.mkdir()
    for value in (3, 1, 2):
        (folder / f"{value}.png").write_bytes(_png(value))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(_png(9))
    return folder


def test_a_folder_is_searched_through_in_order(flat: Path) -> None:
    (flat / "deeper" / "still").mkdir(parents=True)
    (flat / "deeper" / "still" / "4.PNG").write_bytes(_png(4))
    images = open_images(flat)
    assert len(images) == 4
    assert _values(images) == [1, 2, 3, 4]
    assert images.classes == []
    assert [picture.label for picture in images.pictures()] == [None] * 4


def test_sub_folders_are_classes(photo_folder: Path) -> None:
    images = open_images(photo_folder, size=16)
    assert images.classes == ["cats", "others"]
    assert len(images) == 24
    for picture in images.pictures():
        assert picture.label is not None
        assert picture.name.startswith(images.classes[picture.label])


def test_a_zip_is_the_folder_that_was_packed(photo_folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(photo_folder.rglob("*.png")):
            archive.write(path, Path("my photos") / path.relative_to(photo_folder))
        archive.writestr("__MACOSX/my photos/cats/._00.png", b"not an image")
    packed, plain = open_images(tmp_path / "photos.zip"), open_images(photo_folder)
    assert packed.classes == plain.classes
    for one, two in zip(packed.pictures(), plain.pictures(), strict=True):
        assert (one.name, one.label) == (two.name, two.label)
        assert torch.equal(one.pixels, two.pixels)


@pytest.mark.parametrize("labels", ["none", "cls", "json"])
def test_tar_shards_are_read_in_order_with_their_labels(tmp_path: Path, labels: str) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(2):
        with tarfile.open(folder / f"shard-{shard}.tar", "w") as tar:
            for number in range(3):
                value = 3 * shard + number
                _add(tar, f"photo{value}.png", _png(value))
                if labels == "cls":
                    _add(tar, f"photo{value}.cls", str(10 + value % 2).encode())
                if labels == "json":
                    _add(tar, f"photo{value}.json", json.dumps({"label": ["dog", "cat"][value % 2]}).encode())
    for source in (folder, str(folder / "*.tar")):
        images = open_images(source)
        assert _values(images) == list(range(6))
        assert images.classes == {"none": [], "cls": ["10", "11"], "json": ["cat", "dog"]}[labels]
        expected = {"none": [None] * 6, "cls": [0, 1] * 3, "json": [1, 0] * 3}[labels]
        assert [picture.label for picture in images.pictures()] == expected
    assert len(open_images(folder / "shard-0.tar")) == 3


def test_parquet_is_read_with_its_class_names(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    rows = {"image": [{"bytes": _png(value), "path": None} for value in (5, 6)], "label": [1, 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "some.parquet")
    images = open_images(tmp_path / "some.parquet")
    assert images.classes == ["a", "b"]
    assert [(int(p.pixels[0, 0, 0]), p.label) for p in images.pictures()] == [(5, 1), (6, 0)]


def _lmdb(folder: Path, rows: dict[bytes, bytes]) -> Path:
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as writing:
        for key, content in rows.items():
            writing.put(key, content)
    return folder


def test_an_lmdb_is_read_as_that_of_lsun_is(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (340, 256), (7, 7, 7)).save(buffer, "WEBP", lossless=True)
    folder = _lmdb(tmp_path / "cat", {b"0b": _png(4), b"0a": buffer.getvalue(), b"0c": b"no picture"})
    images = open_images(folder, size=8)
    assert len(images) == 3
    assert images.names == ["0a", "0b", "0c"]
    assert _values(images) == [7, 4]
    assert [name for name, _ in images.skipped] == ["0c"]
    assert [picture.label for picture in images.pictures()] == [None, None]
    # A part of it is part of it, and another one is another.
    assert _values(images.split(2)[0]) == _values(open_images(folder, size=8).split(2)[0])
    assert images.fingerprint != open_images(_lmdb(tmp_path / "other", {b"1": _png(1)}), size=8).fingerprint


def test_an_lmdb_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"cut short")
    with pytest.raises(SmaltiError, match="cannot be read as an LMDB"):
        open_images(tmp_path)
    many = {bytes([number]): _png(number) * 50 for number in range(99)}
    path = _lmdb(tmp_path / "cut", many) / "data.mdb"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SmaltiError, match="cut short"):
        open_images(path.parent)
    with pytest.raises(SmaltiError, match="holds no images"):
        open_images(_lmdb(tmp_path / "empty", {}))


def test_a_missing_package_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _lmdb(tmp_path / "cat", {b"1": _png(1)})
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(SmaltiError, match=r"pip install 'smalti\[lmdb\]'"):
        open_images(folder)


def test_a_glob_and_a_single_image(flat: Path) -> None:
    assert _values(open_images(str(flat / "[12].png"))) == [1, 2]
    assert _values(open_images(str(flat.parent / "**" / "3.png"))) == [3]
    assert _values(open_images(flat / "3.png")) == [3]


def test_unreadable_images_are_left_out_counted_once_and_named(flat: Path) -> None:
    (flat / "0-fake.jpg").write_text("text")
    (flat / "2-cut.png").write_bytes(_png(7)[:50])
    images = open_images(flat, size=8)
    assert len(images) == 5
    for _ in range(2):
        assert _values(images) == [1, 2, 3]
    assert [name for name, _ in images.skipped] == ["0-fake.jpg", "2-cut.png"]
    assert [picture.number for picture in images.pictures()] == [1, 3, 4]
    with pytest.raises(SmaltiError, match=r"0-fake\.jpg"):
        list(open_images(flat, strict=True))


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


def test_the_fingerprint_follows_files_and_settings_and_not_the_place(flat: Path, tmp_path: Path) -> None:
    before = open_images(flat, size=8).fingerprint
    assert open_images(flat, size=8).fingerprint == before
    shutil.copytree(flat, tmp_path / "copy")
    assert open_images(tmp_path / "copy", size=8).fingerprint == before
    assert open_images(flat, size=9).fingerprint != before
    (flat / "4.png").write_bytes(_png(4))
    assert open_images(flat, size=8).fingerprint != before


def test_stopping_in_the_middle_leaves_no_thread_at_work(photo_folder: Path) -> None:
    for number, _ in enumerate(open_images(photo_folder).pictures()):
        if number == 2:
            break


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "absent", "no such file"),
        (lambda folder: folder, "holds no images"),
        (lambda folder: str(folder / "*.jpg"), "matches no files"),
        (lambda folder: _write(folder / "a.txt", b"text").parent, "holds no images"),
        (lambda folder: _write(folder / "a.txt", b"text"), "holds no images"),
        (lambda folder: _write(folder / "a.zip", b"text"), "zip"),
        (lambda folder: _write(folder / "a.tar", b"text"), "webdataset"),
        (lambda folder: _empty_zip(folder / "b.zip"), "no images"),
        (lambda folder: "someone/no-such-dataset", "Hub"),
    ],
)
def test_what_holds_no_images_is_named(tmp_path: Path, make: object, says: str) -> None:
    with pytest.raises(SmaltiError, match=says) as caught:
        open_images(make(tmp_path))  # pyright: ignore
    assert "\n" not in str(caught.value)


def test_a_folder_of_nothing_but_fakes_is_refused_when_read(tmp_path: Path) -> None:
    _write(tmp_path / "a.jpg", b"text")
    with pytest.raises(SmaltiError, match="not one of 1 images"):
        list(open_images(tmp_path))


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _empty_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    return path
