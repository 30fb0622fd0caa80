"""Images in: folders, archives, tables, arrays, globs and datasets of the Hub, listed without decoding any."""

import glob
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from smalti.data.archives import TAR_SUFFIXES, Archive, Folder, Joined, RemoteFiles, Tar, Zip
from smalti.data.arrays import ARRAY_SUFFIXES, listed_array, listed_arrays
from smalti.data.images import Images
from smalti.data.listing import Listing
from smalti.data.lsun import listed_lmdb
from smalti.data.naming import SPLITS, TRAIN, listed
from smalti.data.pictures import Crop, CropSettings
from smalti.data.remote import Place, braces, find_remote, is_remote
from smalti.data.tables import listed_hub, listed_parquet
from smalti.errors import SmaltiError, readable
from smalti.model_folder import ModelFolder
from smalti.pixels import Mode, PixelFormat
from smalti.sizes import Size

_LMDB = "data.mdb"  # what the file in the folder of an LMDB is called
_WRITTEN = ("sample.json", "decompress.json", "evaluation.json")
"""Files by which folders of pictures are known that verbs wrote."""


def open_images(
    source: str | Path | np.ndarray | Tensor,
    *,
    size: Size | None = None,
    crop: Crop = "center",
    mode: Mode | PixelFormat = "RGB",
    seed: int = 0,
    strict: bool = False,
) -> Images:
    """Open images without decoding any.

    Args:
        source: a folder (searched through), zips, tars, parquet files, an image, a glob of any of these, the folder of
            an LMDB (as LSUN comes), an `.npy` or `.npz`, an array, or the name of a dataset on the Hugging Face Hub.
            Patterns in braces name several files (`shards-{000..012}.tar`), addresses such as `https://`, `s3://` and
            `hf://` files elsewhere.
            Which of its files are taken, and what their labels are, docs/photos.md says; `Images.told` says what came
            of it.
        size: what images are cropped and resized to in pixels: the side of a square, or height and width; None keeps
            their own.
        crop: "center", "random" or "stretch", see `CropSettings`.
        mode: "RGB" or "L" (grey); or a format of bands, whose values are taken as they are: then each `.npy` in a
            folder or an archive is a picture, too.
        seed: of random crops.
        strict: raise at an image that cannot be read, instead of leaving it out.

    Raises:
        SmaltiError: there is no such source, or it holds no images.
    """
    settings = CropSettings(size=size, crop=crop, mode=mode, seed=seed)
    if isinstance(source, Tensor):
        source = source.numpy(force=True)
    if not isinstance(source, str | Path | np.ndarray) or not str(source).strip():
        told = "an empty name" if isinstance(source, str) else f"a {type(source).__name__}"
        raise SmaltiError(f"{told} is no source of images; give a path, a name, or an array of uint8.")
    listing = listed_array(source, mode) if isinstance(source, np.ndarray) else _listed(str(source), mode)
    source = "an array" if isinstance(source, np.ndarray) else readable(str(source))
    if not len(listing.names):
        left = f" (left aside: {listing.aside})" if str(listing.aside) else ""
        raise SmaltiError(f"{source}: holds no images{left}; name a folder, zip, tar or glob that does.")
    return Images(listing, range(len(listing.names)), settings, source, strict)


def _listed(source: str, mode: Mode | PixelFormat) -> Listing:
    bands = isinstance(mode, PixelFormat)
    if is_remote(source):
        files = [file for address in braces(source) for file in find_remote(address)]
        return _among(RemoteFiles(files), None, source, bands)
    path = Path(source).expanduser()
    if (path / _LMDB).is_file():
        return listed_lmdb(path)
    if path.is_dir():
        return _among(Folder(path), path, source, bands)
    if path.is_file() and path.suffix.lower() in ARRAY_SUFFIXES:
        return listed_arrays(path, mode)
    if path.is_file():
        return _among(Folder(path.parent, [path]), path.parent, source, bands)
    if glob.has_magic(source):
        files = sorted(name for name in map(Path, glob.glob(str(path), recursive=True)) if name.is_file())
        if not files:
            raise SmaltiError(f"{source}: matches no files; check the pattern.")
        root = Path(os.path.commonpath([name.parent for name in files]))
        return _among(Folder(root, files), root, source, bands)
    if (names := braces(source)) != [source]:
        files = [Path(name).expanduser() for name in names]
        for file in files:
            if not file.is_file():
                raise SmaltiError(f"{source}: there is no file {file}; check the pattern.")
        root = Path(os.path.commonpath([file.absolute().parent for file in files]))
        return _among(Folder(root, [file.absolute() for file in files]), root, source, bands)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not path.parent.exists():
        return listed_hub(source)
    raise SmaltiError(f"{source}: there is no such file or folder; check the name.")


def _among(folder: Folder | RemoteFiles, root: Path | None, source: str, bands: bool) -> Listing:
    """What lies in a folder: pictures, tars, parquet files or zips, whichever are most, in bytes."""

    def made_here(name: str) -> bool:
        if root is None:
            return False
        return ModelFolder(root / name).is_begun or any((root / name / file).is_file() for file in _WRITTEN)

    kinds: dict[str, list[int]] = {"pictures": []}
    for number, name in enumerate(folder.names):
        kind = _kind(name)
        if kind and not any(part.startswith(".") for part in name.split("/")):
            kinds.setdefault(kind, []).append(number)
    pictures = listed(folder, made_here=made_here, bands=bands)
    sizes = {kind: sum(folder.sizes[number] for number in found) for kind, found in kinds.items()}
    sizes["pictures"] = pictures.bytes
    taken = max(sizes, key=lambda kind: sizes[kind])  # of equal ones the first: pictures
    if taken == "pictures":
        chosen = pictures
    else:
        chosen = _opened(taken, [folder.path(number) for number in kinds[taken]], source, bands)
        chosen.aside.include(pictures.aside)
        chosen.aside.add(f"pictures beside the {taken} files, which are larger", *pictures.names)
    for kind, found in kinds.items():
        if kind not in (taken, "pictures"):
            what = "pictures" if taken == "pictures" else f"{taken} files"
            chosen.aside.add(f"{kind} files beside the {what}", *(folder.names[number] for number in found))
    return chosen


def _opened(kind: str, paths: Sequence[Place], source: str, bands: bool) -> Listing:
    splits = {path: _split(path) for path in paths}
    some_train = any(split in TRAIN for split in splits.values())
    taken = [path for path, split in splits.items() if not some_train or split is None or split in TRAIN]
    if kind == "parquet":
        listing = listed_parquet(taken, source)
    else:
        reader: Callable[[Place], Archive] = Zip if kind == "zip" else Tar
        parts = [reader(path) for path in taken]
        listing = listed(parts[0] if len(parts) == 1 else Joined(parts), bands=bands)
    listing.aside.add(f"{kind} files of other splits", *(path.name for path in paths if path not in taken))
    return listing


def _split(path: Place) -> str | None:
    """The split that a file is of, by its name, as in train-00000-of-00002.parquet, or by that of its folder."""
    words = [*re.split(r"[^a-z]+", path.name.lower()), path.parent.name.lower()]
    return next((word for word in words if word in SPLITS), None)


def _kind(name: str) -> str | None:
    plain = name.lower()
    if plain.endswith(TAR_SUFFIXES):
        return "tar"
    return next((kind for kind in ("zip", "parquet") if plain.endswith(f".{kind}")), None)
