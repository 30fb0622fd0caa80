"""Pictures in tables: parquet files, read a group of rows at a time, and datasets of the Hugging Face Hub."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smalti.data.kinds import HEAD, begins_as_picture
from smalti.data.labelling import LABELS, NO_LABELS, is_label
from smalti.data.latents import NO_LABEL
from smalti.data.listing import Aside, Labelled, Listing, as_classes, labels_in
from smalti.data.names import Names
from smalti.data.naming import COMPANIONS, PICTURES
from smalti.data.remote import Place, file_size
from smalti.errors import SmaltiError, readable
from smalti.files import fingerprint

_GROUPS_KEPT = 2  # in memory, of all files
_LOOKED_AT = 8  # rows, to tell which columns are of pictures
_NAMES = ("__key__", "file_name", "filename", "name", "id")


def listed_parquet(paths: Sequence[Place], source: str) -> Listing:
    """The pictures of parquet files, which stay where they are.

    Raises:
        SmaltiError: they cannot be read, differ in their columns, or hold no pictures.
    """
    try:
        files = _files(paths)
        if any(file.schema_arrow.names != files[0].schema_arrow.names for file in files):
            raise SmaltiError(f"{source}: its parquet files have different columns; name those of one kind.")
        schema = files[0].schema_arrow
        first = next(files[0].iter_batches(batch_size=_LOOKED_AT), schema.empty_table())
        columns = {name: first.column(name).to_pylist() for name in schema.names}
        picture, aside = _picture_column(source, columns)
        given = _labels(schema, [file.read(columns=_some(schema.names, LABELS)) for file in files], aside)
        names = _names(schema.names, files)
        read = _Cells(paths, picture, files)
    except SmaltiError:
        raise
    except Exception as error:  # of tables of any bytes
        if isinstance(error, MemoryError) and not isinstance(error, pa.ArrowException):
            raise
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise SmaltiError(f"{source}: cannot be read as parquet ({reason}); make or copy it again.") from error
    mark = fingerprint(*(f"{path.name} {file_size(path)}" for path in paths), picture)
    return Listing(names, read, mark, *given, aside)


def _files(paths: Sequence[Place]) -> list[pq.ParquetFile]:
    return [pq.ParquetFile(path if isinstance(path, Path) else path.open()) for path in paths]


class _Cells:
    """Reads the pictures of parquet files, a group of rows at a time; another process opens the files itself."""

    def __init__(self, paths: Sequence[Place], picture: str, files: Sequence[pq.ParquetFile] = ()):
        self._paths, self._picture = paths, picture
        files = files or _files(paths)
        self._groups = [(file, group) for file in files for group in range(file.num_row_groups)]
        self._counts = [file.metadata.row_group(group).num_rows for file, group in self._groups]
        self._ends, self._lock = np.cumsum(self._counts), threading.Lock()
        self._group = lru_cache(_GROUPS_KEPT)(self._read_group)

    def __reduce__(self) -> tuple[type["_Cells"], tuple[Sequence[Place], str]]:
        return _Cells, (self._paths, self._picture)

    def __call__(self, number: int) -> bytes:
        group = int(np.searchsorted(self._ends, number, side="right"))
        with self._lock:  # which threads would read twice
            column = self._group(group)
        return _content(column[number - int(self._ends[group]) + self._counts[group]].as_py())

    def _read_group(self, number: int) -> pa.ChunkedArray:
        file, group = self._groups[number]
        return file.read_row_group(group, columns=[self._picture]).column(self._picture)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Reads the pictures of a dataset of the Hub, which maps its files."""

    dataset: Any
    picture: str

    def __call__(self, number: int) -> bytes:
        return _content(self.dataset[number][self.picture])


def listed_hub(name: str) -> Listing:
    """The pictures of the train split of a dataset on the Hugging Face Hub.

    Raises:
        SmaltiError: it cannot be had, or holds no pictures.
    """
    import datasets  # takes a second

    try:
        loaded: Any = datasets.load_dataset(name, split="train")
    except Exception as error:  # no network, no such name, no access, no train split
        raise SmaltiError(
            f"{name}: neither a file or folder nor a dataset on the Hub that can be had "
            f"({type(error).__name__}); check the name."
        ) from error
    for column, feature in loaded.features.items():
        if isinstance(feature, datasets.Image):
            loaded = loaded.cast_column(column, datasets.Image(decode=False))
    columns = {column: list(loaded[:_LOOKED_AT][column]) for column in loaded.column_names}
    picture, aside = _picture_column(name, columns)
    given = _labels(loaded.features.arrow_schema, [loaded.data.table], aside)
    names = Names(map(str, range(len(loaded))))
    return Listing(names, _Rows(loaded, picture), loaded._fingerprint, *given, aside)


def _picture_column(source: str, columns: dict[str, list[Any]]) -> tuple[str, Aside]:
    """The column of pictures: one that is called so, or the first that is not called a mask or the like."""
    aside = Aside()
    found = [name for name, values in columns.items() if any(map(_is_picture, values))]
    if not found:
        raise SmaltiError(f"{source}: holds no images (columns {', '.join(columns)}); name another.")

    def rank(name: str) -> int:
        plain = name.lower()
        return 0 if plain in PICTURES else 2 if plain in COMPANIONS or set(plain.split("_")) & COMPANIONS else 1

    chosen = min(found, key=rank)
    for name in found:
        if name != chosen:
            aside.add("columns of pictures beside the one that is taken", name)
    return chosen, aside


def _is_picture(value: Any) -> bool:
    if isinstance(value, dict):
        return "bytes" in value and (value["bytes"] is None or isinstance(value["bytes"], bytes))
    return isinstance(value, bytes) and begins_as_picture(value[:HEAD])


def _content(value: Any) -> bytes:
    """The bytes of a cell. A path in a table is not followed: it could be that of any file."""
    content = value.get("bytes") if isinstance(value, dict) else value
    if content is None:
        raise ValueError("the table holds no bytes of it, only a path")
    return content


def _some(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The first of the wanted columns that is there, if any is."""
    return next(([name] for name in wanted if name in names), [])


def _labels(schema: pa.Schema, tables: Sequence[pa.Table], aside: Aside) -> Labelled:
    """Labels of a column, with the names that `datasets` keeps in the schema."""
    column = _some(schema.names, LABELS)
    if not column:
        return None, []
    values = [value for table in tables for value in table.column(column[0]).to_pylist()]
    names = _names_of_labels(schema, column[0])
    if names:
        lists = [[label for label in labels_in(value) if label not in (None, NO_LABEL)] for value in values]
        if all(label in range(len(names)) for labels in lists for label in labels):
            return [tuple(labels) for labels in lists], [readable(str(name)) for name in names]
    if any(value not in (None, []) and not is_label(value) for value in values):
        aside.add(f"columns of {NO_LABELS}", column[0])
        return None, []
    return as_classes(values)


def _names_of_labels(schema: pa.Schema, column: str) -> Sequence[str]:
    """The names that `datasets` keeps of the labels of a column, if it does: its own, or of what it is a list of."""
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    feature = features.get(column)
    if isinstance(feature, list):  # lists as they were written before there was a kind of feature for them
        feature = feature[0] if feature else None
    elif isinstance(feature, dict):
        feature = feature.get("feature") or feature
    return (feature.get("names") or ()) if isinstance(feature, dict) else ()


def _names(columns: Sequence[str], files: Sequence[pq.ParquetFile]) -> Names:
    column = _some(columns, _NAMES)
    if column:
        return Names(
            readable(str(value)) for file in files for value in file.read(columns=column).column(0).to_pylist()
        )
    return Names(map(str, range(sum(file.metadata.num_rows for file in files))))
