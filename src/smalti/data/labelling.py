"""Labels of pictures: of tables and small files beside them, or of the folders that they lie in."""

import codecs
import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from smalti.data.archives import Archive
from smalti.data.listing import Aside, File, Labelled, Place, as_classes
from smalti.files import json_lines

LABELS = ("label", "labels", "cls", "class", "class_name", "category", "fine_label", "coarse_label")
"""Columns and keys that labels are taken from, the first that is there."""

NO_LABELS = "labels that are neither words, whole numbers nor lists of words"

MOST_LOOSE = 0.1  # of all pictures, beside folders of classes
_METADATA = ("metadata.csv", "metadata.jsonl")


def labels_of_tables(archive: Archive, files: list[File], others: dict[Place, int], aside: Aside) -> Labelled | None:
    """Labels of `metadata.csv` or `metadata.jsonl`, as `datasets` has them for folders of images."""
    index: dict[Place, int] = {}
    for row, file in enumerate(files):
        index[file.place[0], (*file.place[1], file.parts[-1])] = row
    values: list[Any] = [None] * len(files)
    found = False
    for (part, parts), number in others.items():
        if parts[-1].lower() not in _METADATA:
            continue
        text = _text(archive.read(number))
        used, others_than_labels = False, False
        try:
            lines = list(_rows(text)) if parts[-1].lower().endswith("csv") else json_lines(text)
        except csv.Error:  # such as a cell of more than 128 KiB
            aside.add("tables that cannot be read", archive.names[number])
            continue
        for line in lines:
            key = next((key for key in LABELS if is_label(line.get(key))), None)
            path = PurePosixPath(str(line.get("file_name") or line.get("filename") or "").replace("\\", "/")).parts
            row = index.get((part, (*parts[:-1], *path)))
            if row is not None:
                others_than_labels |= key is None and any(line.get(key) not in (None, "", []) for key in LABELS)
                if key is not None:
                    values[row], found, used = line[key], True, True
        if others_than_labels:
            aside.add(f"tables with {NO_LABELS}", archive.names[number])
        elif not used:
            aside.add("tables without a file_name and a label of any picture", archive.names[number])
    return as_classes(values) if found else None


def _text(content: bytes) -> str:
    """A table's text, as spreadsheets write it: UTF-8, UTF-16, or what is neither by the code page of Windows."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _rows(text: str) -> Iterator[dict[str, Any]]:
    """The rows of a table by the names of its columns, in small letters; columns end at a comma, semicolon or tab."""
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=None), delimiter=max(",;\t", key=first.count), skipinitialspace=True)
    columns = [name.strip().lower() for name in next(rows, [])]
    for row in rows:
        yield dict(zip(columns, row, strict=False))


def labels_of_sidecars(archive: Archive, files: list[File], others: dict[Place, int], aside: Aside) -> Labelled | None:
    """Labels of a `.cls` or `.json` of the same name, as webdataset has them."""
    values: list[Any] = []
    others_than_labels: list[str] = []
    for file in files:
        part, folder = file.place
        stems = dict.fromkeys((file.stem, file.parts[-1].partition(".")[0]))
        value = None
        for number in (others.get((part, (*folder, f"{stem}{end}"))) for stem in stems for end in (".cls", ".json")):
            if number is not None and value is None:
                value = _value_of(archive.names[number], archive.read(number))
                if value is not None and not is_label(value):
                    value = None
                    others_than_labels.append(archive.names[number])
        values.append(value)
    aside.add(NO_LABELS, *others_than_labels)
    return None if all(value is None for value in values) else as_classes(values)


def _value_of(name: str, content: bytes) -> Any:
    text = content.decode("utf-8", "replace").strip()
    if not name.lower().endswith(".json"):
        return text or None
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return (
        next((read[key] for key in LABELS if read.get(key) not in (None, [])), None) if isinstance(read, dict) else None
    )


def is_label(value: Any) -> bool:
    """Whether a value is a word or a whole number, or a list of words; of numbers it may be a vector or a box."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, str) and each for each in value)
    return isinstance(value, str | int) and value != ""


def labels_of_folders(files: Sequence[File]) -> Labelled:
    """The first folder of each picture, where nearly all lie in folders and there are several; the others have none."""
    tops = [file.parts[0] if len(file.parts) > 1 else None for file in files]
    return (None, []) if tops.count(None) > MOST_LOOSE * len(files) else as_classes(tops)
