"""What a file is: a picture that can be decoded, one that cannot for want of a package, or no picture."""

import struct
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from posixpath import splitext

from PIL import Image

HEAD = 64
"""Bytes at the beginning of a file that tell what it is."""

# Formats of Pillow that start other programs, or are no pictures.
_NOT_DECODED = frozenset(["EPS", "WMF", "MPEG", "HDF5", "GRIB", "BUFR", "PDF"])
_NOT_SUFFIXES = frozenset([".ps", ".eps", ".wmf", ".emf", ".mpg", ".mpeg", ".h5", ".hdf", ".grib", ".bufr", ".pdf"])
_SIDECARS = frozenset(
    [".json", ".jsonl", ".csv", ".tsv", ".cls", ".txt", ".md", ".xml", ".yaml", ".yml", ".npy", ".npz"]
)
_PLUGINS = {"HEIC": ("pillow_heif", "pillow-heif"), "JPEG XL": ("pillow_jxl", "pillow-jxl-plugin")}
_RAW = frozenset([".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"])
_HEIC_BRANDS = frozenset([b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"])


@cache
def formats() -> tuple[str, ...]:
    """Pillow's names of all formats that are decoded, those of plugins that are installed among them."""
    Image.init()
    for module, _ in _PLUGINS.values():
        if find_spec(module):
            plugin = import_module(module)
            getattr(plugin, "register_heif_opener", lambda: None)()
    return tuple(name for name in Image.ID if name not in _NOT_DECODED)


@cache
def _suffixes() -> frozenset[str]:
    """Those that pictures of these formats have."""
    known = formats()
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in known) - _NOT_SUFFIXES


def is_sidecar(name: str) -> bool:
    """Whether a file is, by its name, what lies beside pictures."""
    return splitext(name)[1].lower() in _SIDECARS


def has_picture_suffix(name: str) -> bool:
    """Whether a file is, by its name, a picture that can be decoded."""
    return splitext(name)[1].lower() in _suffixes()


def is_raw(name: str) -> bool:
    """Whether a file is, by its name, a raw photo: its beginning is that of a TIFF, which holds a thumbnail."""
    return splitext(name)[1].lower() in _RAW


def begins_as_picture(head: bytes) -> bool:
    """Whether a file begins as a picture that can be decoded."""
    return any(_accepts(name, head) for name in formats())


def _accepts(name: str, head: bytes) -> bool:
    accept = Image.OPEN[name][1] if name in Image.OPEN else None
    try:
        return accept is not None and accept(head) is True  # a word says what is missing
    except (IndexError, ValueError, struct.error):  # too few bytes
        return False


def why_not(name: str, head: bytes) -> str:
    """Why a file is not taken, as a plural noun."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return _wants("HEIC")
    if head.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")):
        return _wants("JPEG XL")
    if is_raw(name):
        return "raw photos of cameras, to be developed first"
    return "files that are no pictures"


def _wants(kind: str) -> str:
    package = _PLUGINS[kind][1]
    return f"{kind} pictures, which take the package {package} (pip install {package})"
