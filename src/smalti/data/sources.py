"""Images in: folders, archives, globs and datasets, as one undecoded `datasets.Dataset`."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets

from smalti.data.images import Images, Rows
from smalti.data.lsun import LmdbRows
from smalti.data.pictures import Crop, CropSettings
from smalti.errors import SmaltiError
from smalti.files import fingerprint
from smalti.pixels import Mode

IMAGE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".apng",
        ".webp",
        ".avif",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".jp2",
        ".tga",
    ]
)
_LMDB = "data.mdb"  # what the file in the folder of an LMDB is called


def open_images(
    source: str | Path,
    *,
    size: int | None = None,
    crop: Crop = "center",
    mode: Mode = "RGB",
    seed: int = 0,
    strict: bool = False,
) -> Images:
    """Open images without decoding any.

    Args:
        source: a folder (searched through; where all images lie in sub-folders of it, two or more, the names of these
            are the classes), a zip of one, tar shards in webdataset form (a file, a folder of them; labels from `.cls`
            or the "label" of `.json`), parquet files, an image, a glob of any of these, the folder of an LMDB (as LSUN
            comes), or the name of a dataset on the Hugging Face Hub.
        size: side of the square that images are cropped and resized to, in pixels; None keeps their own.
        crop: "center", "random" or "stretch", see `CropSettings`.
        mode: "RGB" or "L" (grey).
        seed: of random crops.
        strict: raise at an image that cannot be read, instead of leaving it out.

    Raises:
        SmaltiError: there is no such source, or it holds no images.
    """
    settings = CropSettings(size=size, crop=crop, mode=mode, seed=seed)
    rows, classes, mark = _open_source(str(source))
    if not len(rows):
        raise SmaltiError(f"{source}: holds no images; name a folder, zip, tar or glob that does.")
    return Images(rows, range(len(rows)), settings, str(source), mark, classes, strict)


Opened = tuple[Rows, list[str], str]


def _open_source(source: str) -> Opened:
    path = Path(source).expanduser()
    if (path / _LMDB).is_file():
        rows = LmdbRows(path)
        return rows, [], fingerprint(path.name, str(len(rows)), str((path / _LMDB).stat().st_size))
    if path.is_dir():
        return _open_files(path, source, _files_below(path))
    if path.is_file():
        return _open_files(path.parent, source, [path])
    if glob.has_magic(source):
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
        files = [name for name in found if name.is_file()]
        if not files:
            raise SmaltiError(f"{source}: matches no files; check the pattern.")
        return _open_files(Path(os.path.commonpath([name.parent for name in files])), source, files)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not path.parent.exists():
        return _open_hub(source)
    raise SmaltiError(f"{source}: there is no such file or folder; check the name.")


def _files_below(folder: Path) -> list[Path]:
    """Files in and under a folder, sorted; hidden ones, and what archives of macOS add, are no photos."""
    below = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [folder / path for path in below if not any(part.startswith((".", "__MACOSX")) for part in path.parts)]


def _pictures_among(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]


def _open_files(root: Path, source: str, files: list[Path]) -> Opened:
    """Images among `files` if there are any, else tar shards, parquet files or zips."""
    kinds = {kind: [path for path in files if path.suffix.lower() == kind] for kind in (".tar", ".parquet", ".zip")}
    images = _pictures_among(files)
    chosen = images or next(filter(None, kinds.values()), [])
    if not chosen:
        raise SmaltiError(
            f"{source}: holds no images ({len(files)} files, none a picture, zip, tar or parquet); name another."
        )
    mark = fingerprint(*(f"{path.relative_to(root)} {path.stat().st_size}" for path in chosen))
    if images:
        return *_image_files(root, images), mark
    if kinds[".tar"]:
        return *_table("webdataset", kinds[".tar"], source), mark
    if kinds[".parquet"]:
        return *_table("parquet", kinds[".parquet"], source), mark
    return *_zipped(kinds[".zip"], source), mark


def _image_files(root: Path, paths: list[Path]) -> tuple[datasets.Dataset, list[str]]:
    folders = [path.relative_to(root).parts[0] if path.parent != root else "" for path in paths]
    classes = sorted(set(folders)) if "" not in folders and len(set(folders)) > 1 else []
    index = {name: number for number, name in enumerate(classes)}
    return _rows(
        [{"path": str(path), "bytes": None} for path in paths],
        [str(path.relative_to(root)) for path in paths],
        [index.get(folder) for folder in folders],
    ), classes


def _rows(images: list[dict[str, Any]], names: list[str], labels: Sequence[int | None]) -> datasets.Dataset:
    features = datasets.Features(
        {"image": datasets.Image(decode=False), "name": datasets.Value("string"), "label": datasets.Value("int64")}
    )
    return datasets.Dataset.from_dict({"image": images, "name": names, "label": list(labels)}, features=features)


def _zipped(paths: list[Path], source: str) -> tuple[datasets.Dataset, list[str]]:
    if len(paths) > 1:
        raise SmaltiError(f"{source}: holds {len(paths)} zip files; name one of them.")
    try:
        folder = Path(str(datasets.DownloadManager().extract(str(paths[0]))))
    except Exception as error:  # zipfile and datasets raise several kinds
        raise SmaltiError(f"{paths[0]}: cannot be unpacked ({error}); make the zip again.") from error
    images = _pictures_among(_files_below(folder))
    if not images:
        raise SmaltiError(f"{source}: the zip holds no images; name another.")
    # Archives often wrap everything in one folder of their own.
    inner = Path(os.path.commonpath([path.parent for path in images]))
    return _image_files(inner, images)


def _table(kind: str, paths: list[Path], source: str) -> tuple[datasets.Dataset, list[str]]:
    """Tar shards or parquet by the reader that `datasets` has for them."""
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(kind, data_files={"train": [str(path) for path in paths]}, split="train")
    except Exception as error:  # the readers raise their own, pyarrow's, tarfile's
        reason = " ".join(str(error.__cause__ or error).split())[:150]
        raise SmaltiError(f"{source}: cannot be read as {kind} ({reason}); check the files.") from error
    finally:
        if not bars:
            datasets.enable_progress_bars()
    return _arranged(loaded, source)


def _open_hub(name: str) -> Opened:
    try:
        loaded = datasets.load_dataset(name, split="train")
    except Exception as error:  # no network, no such name, no access, no train split
        raise SmaltiError(
            f"{name}: neither a file or folder nor a dataset on the Hub that can be had "
            f"({type(error).__name__}); check the name."
        ) from error
    rows, classes = _arranged(loaded, name)
    return rows, classes, loaded._fingerprint


def _arranged(loaded: Any, source: str) -> tuple[datasets.Dataset, list[str]]:
    """A dataset with the columns image (undecoded), name and label, whatever it called them."""
    pictures = [name for name, feature in loaded.features.items() if isinstance(feature, datasets.Image)]
    if not pictures:
        raise SmaltiError(f"{source}: holds no images (columns {', '.join(loaded.column_names)}); name another.")
    labels, classes = _labels(loaded)
    names = loaded["__key__"] if "__key__" in loaded.column_names else [str(i) for i in range(len(loaded))]
    rows = loaded.select_columns([pictures[0]])
    rows = rows if pictures[0] == "image" else rows.rename_column(pictures[0], "image")
    rows = rows.cast_column("image", datasets.Image(decode=False))
    return rows.add_column("name", list(names)).add_column("label", labels), classes


def _labels(loaded: Any) -> tuple[list[int | None], list[str]]:
    for column in ("label", "cls"):
        if column in loaded.column_names:
            feature = loaded.features[column]
            given = list(loaded[column])
            if isinstance(feature, datasets.ClassLabel):
                return given, list(feature.names)
            return _numbered(given)
    if "json" in loaded.column_names and "label" in (loaded.features["json"] or {}):
        return _numbered([entry["label"] for entry in loaded["json"]])
    return [None] * len(loaded), []


def _numbered(given: list[Any]) -> tuple[list[int | None], list[str]]:
    """Labels of any kind as numbers of their sorted values, numbers sorted as numbers."""
    values = sorted({value for value in given if value is not None}, key=lambda value: (str(type(value)), value))
    index = {value: number for number, value in enumerate(values)}
    return [index.get(value) for value in given], [str(value) for value in values]
