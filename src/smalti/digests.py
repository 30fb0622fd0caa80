"""Digests of files: what is read is what was written, or it is said which file is not."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from smalti.errors import SmaltiError
from smalti.files import beside, read_json, replace_file, write_json

__all__ = [
    "DIGESTS",
    "digest_of",
    "digests_of",
    "replace_sealed",
    "require_digests",
    "require_sealed",
    "seal",
    "unseal",
]

DIGESTS = "digests.json"


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The digests of files of a folder, by their names."""
    return {name: digest_of(folder / name) for name in names}


def require_digests(folder: Path, digests: Mapping[str, str]) -> None:
    """Refuse files that are not what was written; a digest may be several, between them spaces, of which one is right.

    Raises:
        SmaltiError: a file is missing or another; the first is named.
    """
    for name, wanted in digests.items():
        path = beside(folder, name)
        try:
            found = digest_of(path)
        except OSError as error:
            raise SmaltiError(f"{path}: cannot be read ({error.strerror}); copy the folder again.") from error
        if found not in str(wanted).split():
            raise SmaltiError(
                f"{folder / name}: is not what was written there (by its digest): it is damaged, or not copied whole; "
                "copy or make it again."
            )


def seal(folder: Path, names: Iterable[str]) -> None:
    """Keep the digests of files of a folder beside them."""
    _write(folder, digests_of(folder, names))


def unseal(folder: Path) -> None:
    """Forget the digests of a folder that is about to be written: they are not true until it is sealed again."""
    (folder / DIGESTS).unlink(missing_ok=True)


def require_sealed(folder: Path) -> None:
    """Refuse a folder with a file that is another than when it was sealed; one that never was is taken as it is.

    What is missing is told by whoever needs it.

    Raises:
        SmaltiError: so it is, or the digests themselves are damaged.
    """
    if (folder / DIGESTS).is_file():
        try:
            files = _files(folder)
            require_digests(folder, {name: files[name] for name in files if beside(folder, name).exists()})
        except SmaltiError as error:
            raise SmaltiError(f"{str(error).removesuffix('.')}; or remove {DIGESTS}, if it was on purpose.") from error


def replace_sealed(source: Path, target: Path) -> None:
    """Put a file in the place of one in a sealed folder, in one step; whoever reads meanwhile finds either of them."""
    folder, name, new = target.parent, target.name, digest_of(source)
    sealed = _files(folder) if (folder / DIGESTS).is_file() else {}
    if name in sealed:
        _write(folder, sealed | {name: f"{sealed[name]} {new}"})
    replace_file(source, target)
    if name in sealed:
        _write(folder, sealed | {name: new})


def _write(folder: Path, files: dict[str, str]) -> None:
    write_json(folder / DIGESTS, {"files": files}, digest=True)


def _files(folder: Path) -> dict[str, str]:
    files = read_json(folder / DIGESTS).get("files")
    if not isinstance(files, dict):
        raise SmaltiError(f"{folder / DIGESTS}: holds no digests; copy the folder again.")
    return files
