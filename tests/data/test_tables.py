"""Pictures in parquet files: the column that is meant, labels, and what is read of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smalti.data import Images, open_images
from smalti.errors import SmaltiError

Png = Callable[[int], bytes]


def _written(path: Path, columns: dict[str, list[Any]], rows: int = 3) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=rows)
    return path


def _values(images: Images) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in images]


def test_masks_are_not_taken_wherever_they_stand(tmp_path: Path, png: Png) -> None:
    columns = {
        "conditioning_image": [{"bytes": png(9), "path": None}] * 4,
        "image": [{"bytes": png(n), "path": f"{n}.png"} for n in range(4)],
        "extra": [png(8)] * 4,
    }
    images = open_images(_written(tmp_path / "a.parquet", columns))
    assert _values(images) == [0, 1, 2, 3]
    assert "2 columns of pictures beside the one that is taken (conditioning_image, extra)" in images.told


def test_a_struct_or_plain_bytes_of_any_name_are_pictures(tmp_path: Path, png: Png) -> None:
    struct = {"img": [{"bytes": png(n), "path": ""} for n in range(7)], "label": [n % 2 for n in range(7)]}
    images = open_images(_written(tmp_path / "a.parquet", struct))
    assert _values(images) == list(range(7))
    assert images.classes == ["0", "1"]
    plain = {"content": [png(n) for n in range(3)], "fine_label": ["b", "a", None]}
    images = open_images(_written(tmp_path / "b.parquet", plain))
    assert images.classes == ["a", "b"]
    assert [picture.labels for picture in images.pictures()] == [(1,), (0,), ()]


def test_a_picture_may_have_several_labels(tmp_path: Path, png: Png) -> None:
    columns = {"image": [png(n) for n in range(4)], "labels": [["red", "rose"], ["rose"], [], ["rose", "red", "rose"]]}
    images = open_images(_written(tmp_path / "a.parquet", columns))
    assert images.classes == ["red", "rose"]
    assert [picture.labels for picture in images.pictures()] == [(0, 1), (1,), (), (1, 0)]
    assert "2 classes (red 2, rose 3, of several classes 2, without a class 1)" in images.told


def test_lists_of_labels_have_the_names_that_datasets_keeps(tmp_path: Path, png: Png) -> None:
    names = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    rows = {"image": [{"bytes": png(value), "path": None} for value in (5, 6)], "labels": [[2, 0], [1]]}
    features = datasets.Features({"image": datasets.Image(), "labels": names})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "some.parquet")
    images = open_images(tmp_path / "some.parquet")
    assert images.classes == ["a", "b", "c"]
    assert [picture.labels for picture in images.pictures()] == [(2, 0), (1,)]


@pytest.mark.parametrize("wrapped", [lambda one: [one], lambda one: {"feature": one, "_type": "Sequence"}])
def test_names_of_lists_are_read_as_datasets_has_written_them(
    tmp_path: Path, png: Png, wrapped: Callable[[Any], Any]
) -> None:
    table = pa.table({"image": [png(1), png(2), png(3)], "labels": [[2, 0], [-1], [None, 1]]})
    features = {"labels": wrapped({"names": ["a", "b", "c"], "_type": "ClassLabel"})}
    said = json.dumps({"info": {"features": features}}).encode()
    pq.write_table(table.replace_schema_metadata({"huggingface": said}), tmp_path / "a.parquet")
    images = open_images(tmp_path / "a.parquet")
    assert images.classes == ["a", "b", "c"]
    assert [picture.labels for picture in images.pictures()] == [(2, 0), (), (1,)]


@pytest.mark.parametrize(
    "features", [{"labels": []}, {"labels": {"feature": None}}, {"labels": [{"dtype": "string"}]}, {}]
)
def test_lists_of_words_need_no_names(tmp_path: Path, png: Png, features: dict[str, Any]) -> None:
    table = pa.table({"image": [png(1), png(2)], "labels": [["x", "y"], ["y"]]})
    said = json.dumps({"info": {"features": features}}).encode()
    pq.write_table(table.replace_schema_metadata({"huggingface": said}), tmp_path / "a.parquet")
    assert [picture.labels for picture in open_images(tmp_path / "a.parquet").pictures()] == [(0, 1), (1,)]


def test_what_is_no_label_is_left_aside(tmp_path: Path, png: Png) -> None:
    images = open_images(_written(tmp_path / "a.parquet", {"image": [png(1), png(2)], "labels": [[1, 2], [3]]}))
    assert images.classes == []
    assert "columns of labels that are neither words, whole numbers nor lists of words (labels)" in images.told


def test_other_splits_are_left_aside(tmp_path: Path, png: Png) -> None:
    for split, value in (("train", 1), ("test", 2)):
        _written(tmp_path / f"{split}-00000-of-00001.parquet", {"image": [png(value)] * 2})
    images = open_images(tmp_path)
    assert _values(images) == [1, 1]
    assert "1 parquet files of other splits" in images.told


def test_a_path_in_a_table_is_not_followed(tmp_path: Path, png: Png) -> None:
    (tmp_path / "secret.png").write_bytes(png(5))
    rows = [{"bytes": None, "path": str(tmp_path / "secret.png")}, {"bytes": png(1), "path": None}]
    images = open_images(_written(tmp_path / "a.parquet", {"image": rows}))
    assert _values(images) == [1]
    assert images.skipped[0][1] == "the table holds no bytes of it, only a path"


def test_what_is_no_parquet_or_holds_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(SmaltiError, match="cannot be read as parquet"):
        open_images(tmp_path / "a.parquet")
    with pytest.raises(SmaltiError, match=r"holds no images \(columns text, n\)"):
        open_images(_written(tmp_path / "b.parquet", {"text": ["a"], "n": [1]}))
