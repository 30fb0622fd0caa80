"""Pictures in arrays of numpy: an `.npy`, an `.npz` with labels beside them, or one in memory."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from smalti.data.listing import Aside, Listing, as_classes
from smalti.errors import SmaltiError
from smalti.files import fingerprint
from smalti.pixels import Mode, PixelFormat

ARRAY_SUFFIXES = (".npy", ".npz")

_PLANES = (1, 3, 4)
_MOST_HEADER = 10_000  # bytes, of an .npy
_MOST_PACKED = 2**30, 20  # bytes of the arrays of an .npz, or times its own
_LABELS = ("labels", "label", "y")
_TRAIN = "train"


def listed_arrays(path: Path, mode: Mode | PixelFormat = "RGB") -> Listing:
    """The pictures of a file: an array (N, H, W), (N, H, W, C) or (N, C, H, W) of 8 bits, and labels if it has them.

    Where bands are wanted it is of any whole numbers, and has their number of planes.

    Raises:
        SmaltiError: it cannot be read, or holds no such array.
    """
    try:
        arrays = _loaded(path)
    except MemoryError as error:
        raise SmaltiError(f"{path}: its arrays do not fit into memory; save them as .npy, each in a file.") from error
    except SmaltiError:
        raise
    except Exception as error:  # numpy reads headers as Python, which may fail in any way
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise SmaltiError(f"{path}: cannot be read as arrays of numpy ({reason}); make or copy it again.") from error
    return _listed(arrays, str(path), f"{path.name} {path.stat().st_size}", mode, path.absolute())


def mapped(path: Path) -> np.ndarray:
    """The array of an `.npy`, which stays on disk.

    Raises:
        Exception: whatever numpy raises for a file that is none, or is cut short.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if length > _MOST_HEADER:  # which numpy would read before it looks
        raise ValueError(f"a header of {length:,} bytes")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _require_room(path: Path) -> None:
    """Refuse arrays that would take more memory than files that are written in earnest have to be unpacked to.

    Raises:
        ValueError: so they would.
    """
    with zipfile.ZipFile(path) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > max(_MOST_PACKED[0], _MOST_PACKED[1] * path.stat().st_size):
        raise ValueError(f"its arrays would take {size:,} bytes")


def listed_array(pixels: np.ndarray, mode: Mode | PixelFormat = "RGB") -> Listing:
    """The pictures of an array in memory, as `listed_arrays` has them.

    Raises:
        SmaltiError: it is not of such a shape, or not of such numbers.
    """
    return _listed({"": pixels}, "the array", fingerprint(pixels), mode)


def _loaded(path: Path) -> Mapping[str, np.ndarray]:
    if path.suffix.lower() != ".npz":
        return {"": mapped(path)}
    _require_room(path)
    with np.load(path, allow_pickle=False) as loaded:
        return dict(loaded)


def _listed(
    arrays: Mapping[str, np.ndarray], source: str, mark: str, mode: Mode | PixelFormat, path: Path | None = None
) -> Listing:
    bands = mode if isinstance(mode, PixelFormat) else None
    found = [name for name, array in arrays.items() if (_are_bands(array, bands) if bands else _are_pictures(array))]
    if not found:
        named = list(arrays.items())[:5]
        told = ", ".join(f"{name or 'an array of'} {array.dtype} {array.shape}" for name, array in named)
        numbers = f"whole numbers, with {bands.planes} planes," if bands else "uint8"
        raise SmaltiError(
            f"{source}: holds no pictures ({told}); they are {numbers} of shape (N, H, W), (N, H, W, C) or "
            "(N, C, H, W), where there is one picture, too."
        )
    taken = next((name for name in found if _TRAIN in name), found[0])
    aside = Aside()
    aside.add("arrays of pictures beside the one that is taken", *(name for name in found if name != taken))
    pictures = arrays[taken]
    labels, classes = as_classes(_labels(arrays, taken, len(pictures)))
    names = [str(number) for number in range(len(pictures))]
    read = _Pictures(pictures, bands is not None, path, taken)
    return Listing(names, read, fingerprint(mark, taken), labels, classes, aside)


def _are_pictures(array: np.ndarray) -> bool:
    grey = array.ndim == 3 and array.shape[2] not in _PLANES  # otherwise it is one picture
    planes = array.ndim == 4 and (array.shape[3] in _PLANES or array.shape[1] in _PLANES)
    return array.dtype == np.uint8 and (grey or planes) and min(array.shape) > 0


def _are_bands(array: np.ndarray, bands: PixelFormat) -> bool:
    grey = array.ndim == 3 and bands.planes == 1
    planes = array.ndim == 4 and bands.planes in (array.shape[1], array.shape[3])
    return array.dtype.kind in "iu" and (grey or planes) and min(array.shape) > 0


def _labels(arrays: Mapping[str, np.ndarray], taken: str, count: int) -> list[Any]:
    """Whole numbers or words, one a picture, of an array that is called so; of the same split, where there are some."""
    for name, array in sorted(arrays.items(), key=lambda entry: (_TRAIN in taken) != (_TRAIN in entry[0])):
        called = any(word in _LABELS for word in name.lower().split("_"))
        if called and array.size == count and array.dtype.kind in "iuSU":
            return [value.decode() if isinstance(value, bytes) else value for value in array.ravel().tolist()]
    return []


class _Pictures:
    """Reads pictures of an array; another process opens the file that it is of, if it is of one.

    Bands are read as an `.npy` each, others as a picture.
    """

    def __init__(self, pictures: np.ndarray, bands: bool, path: Path | None, name: str):
        self._pictures, self._bands, self._path, self._name = pictures, bands, path, name

    def __reduce__(self) -> tuple[Callable[..., "_Pictures"], tuple[Any, ...]]:
        if self._path is None:
            return _Pictures, (self._pictures, self._bands, None, self._name)
        return _of_file, (self._path, self._bands, self._name)

    def __call__(self, number: int) -> bytes:
        if self._bands:
            content = io.BytesIO()
            np.save(content, self._pictures[number])
            return content.getvalue()
        pixels = np.asarray(self._pictures[number])
        if pixels.ndim == 3 and pixels.shape[2] not in _PLANES:
            pixels = np.moveaxis(pixels, 0, 2)
        content = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(content, "TIFF")
        return content.getvalue()


def _of_file(path: Path, bands: bool, name: str) -> _Pictures:
    return _Pictures(_loaded(path)[name], bands, path, name)
