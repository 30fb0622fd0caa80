import io
import sys
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import lmdb
import pytest
from PIL import Image

from smalti.data import Images, open_images
from smalti.errors import SmaltiError

Png = Callable[[int], bytes]


def _values(images: Images) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in images]


def _lmdb(folder: Path, rows: dict[bytes, bytes]) -> Path:
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as writing:
        for key, content in rows.items():
            writing.put(key, content)
    return folder


def test_an_lmdb_is_read_as_that_of_lsun_is(tmp_path: Path, png: Png) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (340, 256), (7, 7, 7)).save(buffer, "WEBP", lossless=True)
    folder = _lmdb(tmp_path / "cat", {b"0b": png(4), b"0a": buffer.getvalue(), b"0c": b"no picture"})
    images = open_images(folder, size=8)
    assert len(images) == 3
    assert images.names == ["0a", "0b", "0c"]
    assert _values(images) == [7, 4]
    assert [name for name, _ in images.skipped] == ["0c"]
    assert _values(cloudpickle.loads(cloudpickle.dumps(images))) == [7, 4]  # as another process gets them
    assert [picture.labels for picture in images.pictures()] == [(), ()]
    # A part of it is part of it, and another one is another.
    assert _values(images.split(2)[0]) == _values(open_images(folder, size=8).split(2)[0])
    assert images.fingerprint != open_images(_lmdb(tmp_path / "other", {b"1": png(1)}), size=8).fingerprint


def test_an_lmdb_that_is_damaged_is_named(tmp_path: Path, png: Png) -> None:
    (tmp_path / "data.mdb").write_bytes(b"cut short")
    with pytest.raises(SmaltiError, match="cannot be read as an LMDB"):
        open_images(tmp_path)
    many = {bytes([number]): png(number) * 50 for number in range(99)}
    path = _lmdb(tmp_path / "cut", many) / "data.mdb"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SmaltiError, match="cut short"):
        open_images(path.parent)
    with pytest.raises(SmaltiError, match="holds no images"):
        open_images(_lmdb(tmp_path / "empty", {}))


def test_a_missing_package_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, png: Png) -> None:
    folder = _lmdb(tmp_path / "cat", {b"1": png(1)})
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(SmaltiError, match="pip install lmdb"):
        open_images(folder)
