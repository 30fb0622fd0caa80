"""Places that hold files under names: folders, zips, tars. Each lists them once, and reads one when it is asked for."""

import lzma
import os
import posixpath
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from typing import IO, Any, cast
from weakref import finalize

from smalti.data.kinds import HEAD, begins_as_picture
from smalti.data.names import Names, parts_of
from smalti.data.remote import Place, Remote, opened
from smalti.errors import SmaltiError, readable

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_NO_ZIP = (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError)  # what zipfile raises of a file
_NO_TAR = (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
MOST_BYTES = 2**31 - 1  # of a file that is read whole
_SWOLLEN = 2**24, 100  # bytes of a member of a zip, and how many of them a byte there may be: more is looked at first


class Archive(ABC):
    """Files by number; their names are relative, with slashes."""

    names: Sequence[str]
    sizes: Sequence[int]

    @abstractmethod
    def read(self, number: int, most: int = -1) -> bytes:
        """The content of a file, or its first bytes; threads may ask at once."""

    def mark(self, number: int) -> str:
        """A word that changes with a file: name and size."""
        return f"{self.names[number]} {self.sizes[number]}"

    def part(self, number: int) -> int:
        """Which of several archives a file lies in; what lies beside it is in the same."""
        del number
        return 0


@dataclass(frozen=True, slots=True)
class Members:
    """Reads some files of an archive, by their places among these."""

    archive: Archive
    numbers: Sequence[int]

    def __call__(self, number: int) -> bytes:
        """The content of a file."""
        return self.archive.read(self.numbers[number])


class Folder(Archive):
    """Files in and under a folder, through links to folders as well, sorted; or some that are given."""

    def __init__(self, root: Path, files: Sequence[Path] | None = None):
        found = _below(root) if files is None else files
        self._root = root
        self._within = Names(path.relative_to(root).as_posix() for path in found)
        self.names = Names(map(readable, self._within))
        self.sizes = array("Q", (path.stat().st_size for path in found))

    def path(self, number: int) -> Path:
        """Where a file lies."""
        return self._root / self._within[number]

    def read(self, number: int, most: int = -1) -> bytes:
        """The content of a file, or its first bytes."""
        if most < 0:
            _refuse_large(self.sizes[number])
        with self.path(number).open("rb") as file:
            return file.read(most)


class RemoteFiles(Archive):
    """Files elsewhere, named from the folder that they have in common, as those of a folder here are."""

    def __init__(self, files: Sequence[Remote]):
        self._files = files
        root = posixpath.commonpath([file.parent for file in files])
        self.names = [readable(str(file.parent.relative_to(root) / file.name)) for file in files]
        self.sizes = [file.size for file in files]

    def path(self, number: int) -> Remote:
        """Where a file lies."""
        return self._files[number]

    def read(self, number: int, most: int = -1) -> bytes:
        """The content of a file, or its first bytes."""
        if most < 0:
            _refuse_large(self.sizes[number])
        return self._files[number].range(0, self.sizes[number] if most < 0 else min(most, self.sizes[number]))


class Zip(Archive):
    """Members of a zip, read without unpacking it. Another process opens the file itself."""

    def __init__(self, path: Place):
        """List the members.

        Raises:
            SmaltiError: it is no zip, or one that is damaged or takes a password.
        """
        self._path = path
        try:
            self._zip = _zip(path)
            members = [member for member in self._zip.infolist() if not member.is_dir()]
        except _NO_ZIP as error:
            raise SmaltiError(f"{path}: cannot be read as a zip ({error}); make or copy it again.") from error
        if any(member.flag_bits & 1 for member in members):
            raise SmaltiError(f"{path}: the zip is locked with a password; unpack it and name the folder.")
        # Windows writes backslashes now and then, against the rule.
        named = {readable(member.filename.replace("\\", "/")): member for member in members}  # of a name twice the last
        self.names = sorted(named)
        self._members = [named[name] for name in self.names]
        self.sizes = [member.file_size for member in self._members]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_zip"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _zip=_zip(state["_path"]))

    def mark(self, number: int) -> str:
        """Name, size and checksum of a member."""
        return f"{super().mark(number)} {self._members[number].CRC}"

    def read(self, number: int, most: int = -1) -> bytes:
        """The content of a member, or its first bytes; threads may ask at once."""
        if most < 0:
            _refuse_large(self.sizes[number])
            least, times = _SWOLLEN
            swollen = self.sizes[number] > max(least, times * self._members[number].compress_size)
            if swollen and not begins_as_picture(self.read(number, HEAD)):
                raise ValueError(f"unpacked it would be {self.sizes[number]:,} bytes, which begin as no picture")
        with self._zip.open(self._members[number]) as file:
            return file.read(most)


class Tar(Archive):
    """Members of a tar, in its order; a compressed one is unpacked to a file without a name, which goes with us.

    Another process opens the file itself, and unpacks it if need be.
    """

    def __init__(self, path: Place):
        """List the members.

        Raises:
            SmaltiError: it is no tar, or cut short.
        """
        self.names = Names()
        self.sizes = array("Q")
        self._offsets = array("Q")
        self._sparse: set[int] = set()
        self._path = path
        self._open()
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as tar:
                for member in tar:
                    if member.isreg():
                        if member.issparse():
                            self._sparse.add(len(self.names))
                        self.names.append(readable(posixpath.join(*parts_of(member.name))))
                        self.sizes.append(member.size)
                        self._offsets.append(member.offset_data)
                    cast(Any, tar).members = []  # which are kept otherwise
                end = tar.offset
        except _NO_TAR as error:
            raise SmaltiError(f"{path}: cannot be read as a tar ({error}); make or copy it again.") from error
        length = self._file.seek(0, os.SEEK_END)
        # After the last member, in whole blocks, there are zeros or nothing; tarfile takes much else for the end.
        cut = length < end or (length > end and any(self._range(end, min(tarfile.BLOCKSIZE, length - end))))
        self._length = length
        last = len(self.sizes) - 1
        if cut or (self.sizes and last not in self._sparse and self._offsets[last] + self.sizes[last] > length):
            raise SmaltiError(f"{path}: cannot be read as a tar (it is cut short); make or copy it again.")

    def read(self, number: int, most: int = -1) -> bytes:
        """The content of a member, or its first bytes."""
        if most < 0:
            _refuse_large(self.sizes[number])
        count = self.sizes[number] if most < 0 else min(most, self.sizes[number])
        if number in self._sparse or self._offsets[number] + count > self._length:
            raise ValueError("it is not as large there as it says it is")
        return self._range(self._offsets[number], count)

    def _open(self) -> None:
        self._file, self._range = _uncompressed(self._path)
        finalize(self, self._file.close)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_file", "_range")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()


class Joined(Archive):
    """Several archives as one, one after the other."""

    def __init__(self, parts: Sequence[Archive]):
        self._parts = parts
        self._begins = list(accumulate((len(part.names) for part in parts), initial=0))
        self.names = Names(chain.from_iterable(part.names for part in parts))
        self.sizes = array("Q", chain.from_iterable(part.sizes for part in parts))

    def mark(self, number: int) -> str:
        """What changes with a file in its part."""
        part = self.part(number)
        return self._parts[part].mark(number - self._begins[part])

    def read(self, number: int, most: int = -1) -> bytes:
        """The content of a member, or its first bytes."""
        part = self.part(number)
        return self._parts[part].read(number - self._begins[part], most)

    def part(self, number: int) -> int:
        """Which of them a file lies in."""
        return bisect_right(self._begins, number) - 1


def _below(root: Path) -> list[Path]:
    """Files under a folder, sorted; a link back to a folder above is not followed."""
    found = []

    def search(folder: Path, above: tuple[Path, ...]) -> None:
        real = folder.resolve()
        if real in above:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    search(folder / entry.name, (*above, real))
                elif entry.is_file():
                    found.append(folder / entry.name)

    search(root, ())
    return sorted(found)


def _zip(path: Place) -> zipfile.ZipFile:
    return zipfile.ZipFile(path if isinstance(path, Path) else path.open())


def _uncompressed(path: Place) -> tuple[Any, Callable[[int, int], bytes]]:
    """A tar as it is, or what a compressed one holds; and what reads bytes of it at an offset for any thread.

    Raises:
        SmaltiError: it cannot be unpacked.
    """
    file = opened(path)
    compressed = file.read(max(map(len, _COMPRESSED))).startswith(_COMPRESSED)
    file.seek(0)
    if not compressed:
        return file, path.range if isinstance(path, Remote) else _ranges(file)
    whole = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with file, tarfile.open(fileobj=file, mode="r:*") as tar:
            content = cast(IO[bytes], tar.fileobj)
            content.seek(0)
            shutil.copyfileobj(content, whole)
    except _NO_TAR as error:
        whole.close()
        raise SmaltiError(f"{path}: cannot be read as a tar ({error}); make or copy it again.") from error
    whole.seek(0)
    return whole, _ranges(whole)


def _ranges(file: Any) -> Callable[[int, int], bytes]:
    return lambda offset, count: os.pread(file.fileno(), count, offset)


def _refuse_large(size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"{size:,} bytes are too many for a picture")
