"""What files claim to hold is looked at before memory is taken for it."""

import io
import json
import os
import resource
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smalti.codec import Codec
from smalti.data import Images, Latents, open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError

Png = Callable[[int], bytes]
ROOM = 2**30  # bytes, of which little is needed
HUGE = 40 * 2**30


@contextmanager
def _little_memory() -> Iterator[None]:
    """Let this process take no more than so many bytes more: what takes more fails."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _skipped(source: Path) -> tuple[Images, list[str]]:
    with _little_memory():
        images = open_images(source, size=8)
        list(images)
    return images, [reason for _, reason in images.skipped]


def _sparse(path: Path, size: int = HUGE) -> None:
    with path.open("ab") as file:
        file.truncate(size)


def test_a_file_of_gigabytes_is_left_out_unread(flat: Path, png: Png) -> None:
    for name, begins in (("4.png", png(4)), ("5.jpg", b""), ("6", png(6))):
        (flat / name).write_bytes(begins)
        _sparse(flat / name)
    images, reasons = _skipped(flat)
    assert len(images) == 6
    assert reasons == 3 * [f"{HUGE:,} bytes are too many for a picture"]


@pytest.mark.parametrize("name", ["metadata.csv", "1.json", "1.cls"])
def test_labels_of_gigabytes_are_left_aside(flat: Path, name: str) -> None:
    _sparse(flat / name)
    with _little_memory():
        images = open_images(flat)
    assert f"1 files of labels that are too large ({name})" in images.told


def test_a_zip_of_zeros_is_not_unpacked(tmp_path: Path, png: Png) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("1.png", png(1))
        with packed.open("2.png", "w") as member:
            for _ in range(64):
                member.write(bytes(2**20))
    _, reasons = _skipped(tmp_path / "a.zip")
    assert reasons == [f"unpacked it would be {2**26:,} bytes, which begin as no picture"]


def test_members_of_a_tar_that_claim_more_than_there_is_are_left_out(tmp_path: Path, png: Png) -> None:
    """A sparse member is said to be larger than its part of the tar."""
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name, claims in (("1.png", {}), ("2.png", {"GNU.sparse.size": str(2**31 - 9)})):
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(png(1)), {**claims}
            if claims:
                member.pax_headers |= {"GNU.sparse.map": f"0,{len(png(1))}", "GNU.sparse.name": name}
            tar.addfile(member, io.BytesIO(png(1)))
    _, reasons = _skipped(tmp_path / "a.tar")
    assert reasons == ["it is not as large there as it says it is"]


def _npy(shape: tuple[int, ...], length: int | None = None) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", length or len(header)) + header


@pytest.mark.parametrize("content", [_npy((10**6, 10**6, 10**6)), _npy((1, 8, 8), 2**32 - 1)], ids=["shape", "header"])
def test_arrays_that_claim_more_than_there_is_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    _sparse(tmp_path / "a.npy")
    with _little_memory(), pytest.raises(SmaltiError, match=r"a\.npy: cannot be read as arrays"):
        open_images(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed:
        packed.writestr("a.npy", content)
    with _little_memory(), pytest.raises(SmaltiError, match=r"a\.npz: "):
        open_images(tmp_path / "a.npz")


def test_arrays_that_swell_when_they_are_unpacked_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.npy", _npy((1, 8, 8)))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 2**32 - 2)  # as the directory of a zip of zeros says
    (tmp_path / "a.npz").write_bytes(content)
    with _little_memory(), pytest.raises(SmaltiError, match="its arrays would take 4,294,967,294 bytes"):
        open_images(tmp_path / "a.npz")


def test_names_and_classes_of_tables_do_not_reach_a_terminal_as_they_are(tmp_path: Path, png: Png) -> None:
    table = {"image": [png(1), png(2)], "name": ["a\x1b[2J", "b"], "label": ["one\x1b]0;x\x07", "two\n"]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    images = open_images(tmp_path / "a.parquet")
    assert images.names == ["a\\x1b[2J", "b"]
    assert images.classes == ["one\\x1b]0;x\\x07", "two\\n"]
    assert images.told.isprintable()


def test_a_shard_that_is_cut_while_it_is_in_use_is_a_sentence(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    latents = encode_images(open_images(photo_folder, size=16), codec, tmp_path / "latents", progress=False)
    rows = np.arange(4)
    latents[rows]
    shard = tmp_path / "latents" / latents.manifest.shards[0]
    with shard.open("rb+") as file:
        file.truncate(200)
    with pytest.raises(SmaltiError, match=f"{shard}: was cut while it was in use"):
        latents[rows]
    os.truncate(tmp_path / "latents" / "labels.npy", 140)
    with pytest.raises(SmaltiError, match=r"labels\.npy: was cut while it was in use"):
        latents.labels_of(rows)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("codes-00000.npy", np.zeros((4, 3), np.uint8), "of shape"),
        ("codes-00000.npy", np.zeros((96, 3, 4, 4), np.float32), "its codes are not"),
        ("codes-00000.npy", np.full((48, 4, 4, 4), 255, np.uint8), "no codewords for"),
        ("labels.npy", np.zeros(48), "its labels"),
        ("labels.npy", np.zeros((48, 2, 1), np.int64), "its labels"),
        ("labels.npy", np.array([[-1, 0]] * 48), "labels after an empty place"),
        ("counts.npy", np.zeros((2, 2), np.int64), "its counts"),
    ],
)
def test_arrays_of_other_shapes_than_the_codec_says_are_refused(
    photo_folder: Path, codec: Codec, tmp_path: Path, name: str, array: np.ndarray, says: str
) -> None:
    encode_images(open_images(photo_folder, size=16), codec, tmp_path / "latents", progress=False)
    manifest = tmp_path / "latents" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({key: value for key, value in content.items() if key not in ("digest", "digests")}))
    np.save(tmp_path / "latents" / name, array)
    with pytest.raises(SmaltiError, match=says):
        Latents(tmp_path / "latents")[np.arange(4)]
