"""Codecs that come with the package, fitted on photos: each a folder with a card that says on which, and how good."""

from functools import lru_cache
from pathlib import Path

from smalti.files import read_json

DEFAULT = "photo-high"

_FOLDER = Path(__file__).parent / "bundled"


def bundled_codecs() -> list[str]:
    """Names that `Codec.from_pretrained` knows without a folder, fewest bits first."""
    return sorted(_records(), key=lambda name: _records()[name]["bits_per_pixel"])


def bundled_folder(name: str) -> Path | None:
    """Where the bundled codec of that name is, if there is one."""
    return _FOLDER / name if name in _records() else None


def bundled_with(fingerprint: str) -> str | None:
    """The name of the bundled codec that has a fingerprint, if one has."""
    return next((name for name, record in _records().items() if record["fingerprint"] == fingerprint), None)


@lru_cache
def _records() -> dict[str, dict]:
    """What was written beside each codec when it was fitted."""
    return {path.parent.name: read_json(path) for path in sorted(_FOLDER.glob("*/fit.json"))}
