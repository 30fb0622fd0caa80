"""Which pictures are taken and what their labels are: cases of people who did this job, each in every container."""

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from smalti.data import Images, open_images
from smalti.errors import SmaltiError

Png = Callable[[int], bytes]
Files = dict[str, int | bytes]
"""Names, and the value of a picture or another file's content."""


def _folder(files: dict[str, bytes], path: Path) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def _zip(files: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.with_suffix(".zip")


def _tar(files: dict[str, bytes], path: Path, mode: Any = "w", suffix: str = ".tar") -> Path:
    loose = _folder(files, path.with_name("loose"))
    with tarfile.open(path.with_suffix(suffix), mode) as archive:
        for name in files:
            archive.add(loose / name, name)
    return path.with_suffix(suffix)


def _gzipped(files: dict[str, bytes], path: Path) -> Path:
    return _tar(files, path, "w:gz", ".tar.gz")


@pytest.fixture(params=[_folder, _zip, _tar, _gzipped], ids=["folder", "zip", "tar", "tar.gz"])
def packed(request: pytest.FixtureRequest, tmp_path: Path, png: Png) -> Callable[[Files], Path]:
    def make(files: Files) -> Path:
        return request.param(
            {name: png(value) if isinstance(value, int) else value for name, value in files.items()}, tmp_path / "in"
        )

    return make


def _found(images: Images) -> dict[int, str | None]:
    """The class of each picture, by its value."""
    found = {}
    for picture in images.pictures():
        found[int(picture.pixels[0, 0, 0])] = images.classes[picture.labels[0]] if picture.labels else None
    assert len(found) == len(images)
    return found


PHOTOS = {
    "classes": ({"cat/a.png": 1, "cat/b.png": 2, "dog/c.png": 3}, {1: "cat", 2: "cat", 3: "dog"}),
    "one level deeper": ({"x/data/cat/a.png": 1, "x/data/dog/c.png": 3, "x/README.md": b"hi"}, {1: "cat", 3: "dog"}),
    "one class": ({"cat/a.png": 1, "cat/b.png": 2}, {1: None, 2: None}),
    "a stray file at the top": (
        {f"{'cat' if n % 2 else 'dog'}/{n}.png": n for n in range(1, 21)} | {"stray.png": 50},
        {n: "cat" if n % 2 else "dog" for n in range(1, 21)} | {50: None},
    ),
    "many at the top": (
        {"a.png": 1, "b.png": 2, "more/c.png": 3, "other/d.png": 4},
        {1: None, 2: None, 3: None, 4: None},
    ),
    "train and val": ({"train/a.png": 1, "train/b.png": 2, "val/c.png": 3}, {1: None, 2: None}),
    "train and test with classes": (
        {"d/train/cat/a.png": 1, "d/train/dog/b.png": 2, "d/test/cat/c.png": 3, "d/validation/dog/e.png": 4},
        {1: "cat", 2: "dog"},
    ),
    "train alone": ({"train/cat/a.png": 1, "train/dog/b.png": 2}, {1: "cat", 2: "dog"}),
    "no train": ({"val/a.png": 1, "test/b.png": 2}, {1: None, 2: None}),
    "masks in a folder": ({"images/a.png": 1, "masks/a.png": 2}, {1: None}),
    "masks within classes": (
        {
            f"{c}/{kind}/a.png": n
            for n, (c, kind) in enumerate([("x", "Images"), ("x", "Masks"), ("y", "Images"), ("y", "Masks")])
        },
        {0: "x", 2: "y"},
    ),
    "masks by name": (
        {"a.png": 1, "a_mask.png": 2, "b.png": 3, "b-depth.png": 4, "my_mask.png": 5},
        {1: None, 3: None, 5: None},
    ),
    "depth maps first": (
        {f"p{n}.{kind}": v for n in (0, 1) for kind, v in (("depth.png", 10 + n), ("png", n))},
        {0: None, 1: None},
    ),
    "a field of any name": (
        {f"p{n}.{kind}": v for n in (0, 1) for kind, v in (("a-left.png", 10 + n), ("png", n))},
        {0: None, 1: None},
    ),
    "names with dots": ({f"photo.2020.{n:03d}.png": n for n in range(16)}, dict.fromkeys(range(16))),
    "a class that is a word": ({"a.png": 1, "a.cls": b"rose\n", "b.png": 2, "b.cls": b"iris"}, {1: "rose", 2: "iris"}),
    "classes that are numbers": (
        {f"{n}.png": n for n in range(11)} | {f"{n}.cls": str(n).encode() for n in range(11)},
        {n: str(n) for n in range(11)},
    ),
    "json beside": (
        {
            "a.png": 1,
            "a.json": b'{"label": "x"}',
            "b.png": 2,
            "b.json": b'{"category": "y"}',
            "c.png": 3,
            "c.json": b"{",
        },
        {1: "x", 2: "y", 3: None},
    ),
    "labels that are lists": (
        {"a.png": 1, "a.json": b'{"label": ["x", "y"]}', "b.png": 2, "b.json": b'{"label": ["y"]}'},
        {1: "x", 2: "y"},
    ),
    "lists that are empty, above classes": (
        {"cat/a.png": 1, "cat/a.json": b'{"label": []}', "dog/b.png": 2, "dog/b.json": b'{"label": []}'},
        {1: "cat", 2: "dog"},
    ),
    "lists in metadata.jsonl": (
        {
            "cat/a.png": 1,
            "dog/b.png": 2,
            "metadata.jsonl": b'{"file_name": "cat/a.png", "labels": []}\n{"file_name": "dog/b.png", "labels": [1, 2]}',
        },
        {1: "cat", 2: "dog"},
    ),
    "what is no label": (
        {"a.png": 1, "a.json": b'{"label": [[1], 2]}', "b.png": 2, "b.json": b'{"label": {"x": 1}}'},
        {1: None, 2: None},
    ),
    "metadata.csv": (
        {
            "a.png": 1,
            "in/b.png": 2,
            "metadata.csv": b"\xef\xbb\xbffile_name,label\na.png,x\nin/b.png,y\nabsent.png,z\n",
        },
        {1: "x", 2: "y"},
    ),
    "metadata.jsonl": (
        {
            "d/a.png": 1,
            "d/b.png": 2,
            "d/metadata.jsonl": b'{"file_name": "a.png", "label": 3}\n{"file_name": "b.png", "label": 4}\nno\n',
        },
        {1: "3", 2: "4"},
    ),
    "no suffix, or another": ({"a": 1, "b.photo": 2, "c.txt": b"text", "d.bin": b"\0\1"}, {1: None, 2: None}),
    "what is hidden": ({"a.png": 1, ".b.png": 2, "__MACOSX/._a.png": b"x", "Thumbs.db": b"x"}, {1: None}),
}


@pytest.mark.parametrize(("files", "expected"), PHOTOS.values(), ids=PHOTOS)
def test_what_is_meant_is_taken(packed: Callable[[Files], Path], files: Files, expected: dict[int, str | None]) -> None:
    images = open_images(packed(files))
    assert _found(images) == expected
    assert images.classes == sorted({value for value in expected.values() if value}, key=lambda c: (len(c), c))
    taken = len(expected)
    there = sum(isinstance(value, int) for name, value in files.items() if not name.startswith("."))
    if taken < there:
        assert "left aside: " in images.told


def test_what_is_told_names_classes_and_all_that_was_left_aside(packed: Callable[[Files], Path]) -> None:
    files: Files = {f"train/{c}/{n}.png": n for c in ("rose", "iris") for n in range(3)}
    files |= {
        "val/rose/9.png": 9,
        "train/x.jxl": b"\0\0\0\x0cJXL " + bytes(90),
        "train/y.nef": b"II*\0" + bytes(9),
    }
    told = open_images(packed(files)).told
    assert told.startswith("6 images; 2 classes (iris 3, rose 3); left aside: ")
    assert "1 JPEG XL pictures, which take the package pillow-jxl-plugin" in told
    assert "1 pictures in val/, another split (val/rose/9.png)" in told


def test_a_windows_zip_has_folders(tmp_path: Path, png: Png) -> None:
    source = _zip({"set\\cat\\a.png": png(1), "set\\dog\\b.png": png(2)}, tmp_path / "windows")
    assert _found(open_images(source)) == {1: "cat", 2: "dog"}


def test_a_class_may_be_a_link_and_a_link_back_is_not_followed_for_ever(tmp_path: Path, png: Png) -> None:
    _folder({"in/cat/a.png": png(1), "elsewhere/b.png": png(2)}, tmp_path)
    (tmp_path / "in" / "dog").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "in" / "cat" / "back").symlink_to(tmp_path / "in", target_is_directory=True)
    assert _found(open_images(tmp_path / "in")) == {1: "cat", 2: "dog"}


def test_what_smalti_wrote_is_no_photo(tmp_path: Path, png: Png) -> None:
    _folder({"a.png": png(1), "model/model_index.json": b"{}", "model/progress/00100.png": png(2)}, tmp_path)
    images = open_images(tmp_path)
    assert _found(images) == {1: None}
    assert "1 pictures in folders that smalti wrote (model/progress/00100.png)" in images.told


@pytest.mark.parametrize("kind", [_zip, _tar])
def test_archives_win_over_a_thumbnail_beside_them_and_photos_over_a_small_archive(
    kind: Callable[[dict[str, bytes], Path], Path], tmp_path: Path, png: Png
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    kind({f"{n}.png": png(n) for n in range(1, 9)}, folder / "shard")
    for loose in (folder / "loose").glob("*") if (folder / "loose").exists() else ():
        loose.unlink()
    (folder / "thumbnail.png").write_bytes(png(99))
    images = open_images(folder)
    assert set(_found(images)) == set(range(1, 9))
    assert "1 pictures beside the" in images.told
    (folder / "large.bmp").write_bytes(_bmp(7))
    images = open_images(folder)
    assert "files beside the pictures" in images.told
    assert len(images) == 2


def _bmp(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (400, 400), (value, 0, 0)).save(buffer, "BMP")
    return buffer.getvalue()


def test_what_lies_beside_a_picture_lies_in_the_same_shard(tmp_path: Path, png: Png) -> None:
    for shard, (value, name) in enumerate([(1, b"x"), (2, b"y")]):
        _tar({"0.png": png(value), "0.cls": name}, tmp_path / str(shard) / "shard")
    assert _found(open_images(str(tmp_path / "*" / "shard.tar"))) == {1: "x", 2: "y"}


def test_a_zip_that_changes_under_its_name_gives_what_it_holds_now(tmp_path: Path, png: Png) -> None:
    before = open_images(_zip({"a.png": png(1)}, tmp_path / "z"))
    assert _found(before) == {1: None}
    after = open_images(_zip({"a.png": png(2)}, tmp_path / "z"))
    assert _found(after) == {2: None}
    assert before.fingerprint != after.fingerprint


def test_names_that_are_no_utf8_or_steer_a_terminal_are_written_plainly(tmp_path: Path, png: Png) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(png(1))
    (tmp_path / "red\x1b[31m.png").write_bytes(png(2))
    images = open_images(tmp_path)
    assert set(_found(images)) == {1, 2}
    assert sorted(images.names) == ["caf\\xe9.png", "red\\x1b[31m.png"]
    json.dumps(images.names).encode()


@pytest.mark.parametrize("kind", [_zip, _tar, _gzipped])
def test_an_archive_that_is_cut_short_is_refused_in_a_sentence(
    kind: Callable[[dict[str, bytes], Path], Path], tmp_path: Path, png: Png
) -> None:
    path = kind({f"{n}.png": png(n) for n in range(9)}, tmp_path / "cut")
    whole = path.read_bytes()
    cut = (len(whole) - 300) if path.suffix == ".zip" else len(whole) // 2 if path.suffix == ".gz" else 5000
    path.write_bytes(whole[:cut])
    with pytest.raises(SmaltiError, match="cannot be read as a") as caught:
        open_images(path)
    assert "\n" not in str(caught.value)


_PAIRS = [("train", "a"), ("train", "b"), ("val", "a"), ("val", "b")]
SPLIT: dict[str, tuple[Files, dict[int, str | None]]] = {
    "a stray picture beside splits": (
        {f"{s}/{c}/{n}.png": 10 * k + n for k, (s, c) in enumerate(_PAIRS) for n in range(6)} | {"x.png": 99},
        dict.fromkeys(range(6), "a") | dict.fromkeys(range(10, 16), "b"),
    ),
    "a stray picture one level higher": (
        {f"photos/{c}/{n}.png": 10 * k + n for k, c in enumerate("ab") for n in range(6)} | {"cover.png": 99},
        dict.fromkeys(range(6), "a") | dict.fromkeys(range(10, 16), "b") | {99: None},
    ),
    "folders of Pascal VOC": (
        {"JPEGImages/a.png": 1, "SegmentationClass/a.png": 2, "SegmentationObject/a.png": 3},
        {1: None},
    ),
    "fields that all have names": (
        {"0.image.png": 1, "0.mask.png": 2, "1.image.png": 3, "1.mask.png": 4},
        {1: None, 3: None},
    ),
    "both have words": ({"0_image.png": 1, "0_label.png": 2}, {1: None}),
    "thumbnails of a server": ({"a/1.png": 1, "b/2.png": 2, "a/@eaDir/1.png/SYNO_THUMB.png": 9}, {1: "a", 2: "b"}),
    "a table of a spreadsheet": (
        {"1.png": 1, "2.png": 2, "metadata.csv": "File_Name; Label\r\n1.png; é\r\n2.png; à\r\n".encode("cp1252")},
        {1: "é", 2: "à"},
    ),
    "a table in UTF-16": (
        {"1.png": 1, "2.png": 2, "metadata.csv": "filename,label\n1.png,x\n2.png,y\n".encode("utf-16")},
        {1: "x", 2: "y"},
    ),
}


@pytest.mark.parametrize(("files", "expected"), SPLIT.values(), ids=SPLIT)
def test_what_people_have_is_understood(
    packed: Callable[[Files], Path], files: Files, expected: dict[int, str | None]
) -> None:
    assert _found(open_images(packed(files))) == expected


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("metadata.csv", b"file_name,label\n1.png," + b"a" * 200_000, "tables that cannot be read"),
        ("metadata.csv", b"\x12\xe5\r\x00\r\x00", "tables without a file_name"),
        ("metadata.jsonl", b"[" * 9_999, "tables without a file_name"),
        ("1.json", b"[" * 9_999, "1 images"),
        ("1.json", b'{"label": ' + b"9" * 9_999 + b"}", "1 images"),
    ],
)
def test_labels_of_any_bytes_are_no_fault(
    packed: Callable[[Files], Path], name: str, content: bytes, says: str
) -> None:
    images = open_images(packed({"1.png": 1, name: content}))
    assert says in images.told
    assert len(list(images)) == 1


def test_lines_of_a_table_may_end_as_they_did_on_a_mac(packed: Callable[[Files], Path]) -> None:
    table = b"file_name,label\r1.png,a\r2.png,b\r"
    assert open_images(packed({"1.png": 1, "2.png": 2, "metadata.csv": table})).classes == ["a", "b"]


def test_a_table_that_says_nothing_is_named(packed: Callable[[Files], Path]) -> None:
    told = open_images(packed({"1.png": 1, "metadata.csv": b"picture,label\n1.png,x\n"})).told
    assert "1 tables without a file_name and a label of any picture (metadata.csv)" in told


def test_shards_of_other_splits_are_left_aside(tmp_path: Path, png: Png) -> None:
    for value, name in enumerate(("train-0000.tar", "val-0000.tar", "more.tar")):
        (tmp_path / "made").mkdir(exist_ok=True)
        made = _tar({"0.png": png(value)}, tmp_path / "made" / name)
        (tmp_path / "shards").mkdir(exist_ok=True)
        made.rename(tmp_path / "shards" / name)
    images = open_images(tmp_path / "shards")
    assert _found(images) == {0: None, 2: None}
    assert "1 tar files of other splits (val-0000.tar)" in images.told


@pytest.mark.parametrize("beyond", [-100, 300, 700])
def test_a_tar_that_ends_where_no_member_does_is_refused(tmp_path: Path, png: Png, beyond: int) -> None:
    path = _tar({f"{n}.png": png(n) for n in range(4)}, tmp_path / "a.tar")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"1.png") + beyond])  # in padding, in a header, in a picture
    with pytest.raises(SmaltiError, match="cannot be read as a tar"):
        open_images(path)


def test_of_a_name_that_a_zip_holds_twice_the_last_counts(tmp_path: Path, png: Png) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.png", png(1))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.png", png(2))
    assert _found(open_images(tmp_path / "a.zip")) == {2: None}
