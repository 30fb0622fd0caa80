import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smalti.data import Images, open_images
from smalti.data.remote import braces
from smalti.errors import SmaltiError

Png = Callable[[int], bytes]
NAMES = ("a.tar", "a.tar.gz", "a.zip", "a.parquet")


def _packed(kind: str, png: Png, values: list[int]) -> bytes:
    content, pictures = io.BytesIO(), {f"{value}.png": png(value) for value in values}
    if kind == "a.zip":
        with zipfile.ZipFile(content, "w") as archive:
            for name, picture in pictures.items():
                archive.writestr(name, picture)
    elif kind == "a.parquet":
        pq.write_table(pa.table({"image": list(pictures.values())}), content)
    else:
        with tarfile.open(fileobj=content, mode="w:gz" if kind.endswith("gz") else "w") as archive:
            for name, picture in pictures.items():
                member = tarfile.TarInfo(name)
                member.size = len(picture)
                archive.addfile(member, io.BytesIO(picture))
    return content.getvalue()


def _values(images: Images) -> list[int]:
    return [int(pixels[0, 0, 0]) for pixels in images]


@pytest.fixture
def memory() -> Iterator[Any]:
    """A file system of fsspec that is nowhere on the disk."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves files, and parts of them."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def _answer(self, whole: bool) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content, asked = path.read_bytes(), self.headers.get("Range")
        start, stop = 0, len(content)
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else stop, stop)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.end_headers()
        if whole:
            self.wfile.write(content[start:stop])


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a server of what lies in `tmp_path`."""
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: _Ranges(*args, directory=str(tmp_path))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_files_elsewhere_are_those_here(name: str, png: Png, memory: Any, tmp_path: Path) -> None:
    packed = _packed(name, png, [3, 1, 2])
    memory.pipe(f"/there/{name}", packed)
    (tmp_path / name).write_bytes(packed)
    there, here = open_images(f"memory://there/{name}"), open_images(tmp_path / name)
    assert _values(there) == _values(here)
    assert (there.names, there.fingerprint) == (here.names, here.fingerprint)


def test_folders_elsewhere_are_classes_as_those_here_are(png: Png, memory: Any, tmp_path: Path) -> None:
    for number, name in enumerate(("cats/a.png", "cats/b.png", "dogs/a.png", "dogs/c.png")):
        memory.pipe(f"/there/{name}", png(number))
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(number))
    there, here = open_images("memory://there"), open_images(tmp_path)
    assert (there.names, there.classes, there.told) == (here.names, here.classes, here.told)
    assert there.classes == ["cats", "dogs"]
    assert [picture.labels for picture in there.pictures()] == [(0,), (0,), (1,), (1,)]


def test_shards_are_named_by_braces_or_a_glob_or_their_folder(png: Png, memory: Any, tmp_path: Path) -> None:
    for number in range(12):
        packed = _packed("a.tar", png, [number])
        memory.pipe(f"/there/s-{number:03d}.tar", packed)
        (tmp_path / f"s-{number:03d}.tar").write_bytes(packed)
    for source in ("memory://there/s-{000..010}.tar", tmp_path / "s-{000..010}.tar"):
        assert _values(open_images(source)) == list(range(11))
    for source in ("memory://there/s-*.tar", "memory://there"):
        assert _values(open_images(source)) == list(range(12))
    assert _values(open_images(tmp_path / "s-{003,007}.tar")) == [3, 7]
    with pytest.raises(SmaltiError, match=r"there is no file .*s-012\.tar"):
        open_images(tmp_path / "s-{010..012}.tar")
    assert braces("a{1..3}b") == ["a1b", "a2b", "a3b"]


def test_a_server_is_asked_for_parts(png: Png, address: str, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"s-{number}.tar").write_bytes(_packed("a.tar", png, [2 * number, 2 * number + 1]))
    images = open_images(address + "/s-{0..1}.tar")
    assert _values(images) == [0, 1, 2, 3]
    (tmp_path / "s-1.tar").unlink()  # what cannot be had is no picture that cannot be read
    with pytest.raises(SmaltiError, match=r"s-1\.tar: cannot be had"):
        _values(images)
    with pytest.raises(SmaltiError, match=r"absent\.tar: cannot be had"):
        open_images(address + "/absent.tar")


def test_what_another_package_reads_is_said() -> None:
    with pytest.raises(SmaltiError, match=r"s3fs.*fsspec\[http,s3\]"):
        open_images("s3://bucket/shards-{0..1}.tar")


@pytest.mark.parametrize("name", NAMES)
def test_a_source_can_be_sent_to_another_process(name: str, png: Png, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(_packed(name, png, [3, 1, 2]))
    images = open_images(tmp_path / name)
    expected = _values(images)
    sent = cloudpickle.dumps(images)
    del images
    assert _values(cloudpickle.loads(sent)) == expected
