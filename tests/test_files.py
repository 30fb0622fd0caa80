import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import SmaltiError
from smalti.files import (
    beside,
    fingerprint,
    new_folder,
    read_json,
    record,
    refuse_occupied,
    write_json,
)


def test_a_folder_appears_only_once_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with new_folder(out) as aside:
        (aside / "part").write_text("x")
        assert not out.exists()
    assert (out / "part").read_text() == "x"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_nothing_is_left_of_a_folder_that_failed(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "deep" / "out") as aside:
            (aside / "part").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_cleared_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    """Whatever its number: in a container all are 1."""
    out = tmp_path / "a [new] folder"
    code = f"""
import os, signal
from smalti.files import new_folder
with new_folder({str(out)!r}) as aside:
    (aside / "part").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    [left] = [path for path in tmp_path.iterdir() if path.suffix == ".partial"]
    with new_folder(out):
        assert not left.exists()
        [alive] = [path for path in tmp_path.iterdir() if path.suffix == ".partial"]
        code = code.replace("os.kill", "None and os.kill")
        subprocess.run([sys.executable, "-c", code], check=True)
        assert alive.exists()
        shutil.rmtree(out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_hidden_things_of_others_are_left_alone(tmp_path: Path) -> None:
    for name in (".download.partial", ".mine.partial", ".out.notes.partial"):
        (tmp_path / name).mkdir()
    (tmp_path / ".out.12345678.partial").write_text("a file")
    with pytest.raises(SmaltiError, match="not empty"):
        refuse_occupied(tmp_path)
    with new_folder(tmp_path / "out"):
        pass
    assert len(list(tmp_path.iterdir())) == 5


def test_a_folder_that_is_there_is_filled_and_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount point, a link or the working folder could not be."""
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "link").symlink_to(there)
    number = there.stat().st_ino
    (there / ".there.7.partial").mkdir()  # of a process that was killed
    with new_folder(tmp_path / "link") as aside:
        (aside / "part").write_text("x")
        (aside / "in").mkdir()
        (aside / "in" / "b.json").write_text("{}")
    assert there.stat().st_ino == number
    assert sorted(path.name for path in there.iterdir()) == ["in", "part"]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with new_folder(".") as aside:
        (aside / "part").write_text("x")
    assert [path.name for path in Path().iterdir()] == ["part"]


def test_a_name_may_be_as_long_as_file_systems_allow(tmp_path: Path) -> None:
    with new_folder(tmp_path / ("é" * 120)) as aside:
        write_json(aside / ("n" * 245 + ".json"), {"a": 1})


def test_an_empty_folder_may_be_filled_and_a_full_one_may_not(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as aside:
        (aside / "part").write_text("x")
    refuse_occupied(tmp_path / "absent")
    with pytest.raises(SmaltiError, match="not empty"), new_folder(tmp_path / "out"):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(SmaltiError, match="in the way"):
        refuse_occupied(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as aside:
        (aside / "part").write_text("x")
    assert (tmp_path / "empty" / "part").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1'])
def test_a_damaged_json_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(content)
    with pytest.raises(SmaltiError, match=r"some\.json"):
        read_json(path)


def test_json_comes_back_and_a_missing_file_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"path": tmp_path, "number": np.float32(0.5)})
    assert read_json(tmp_path / "a.json") == {"path": str(tmp_path), "number": 0.5}
    with pytest.raises(SmaltiError, match=r"b\.json.*missing"):
        read_json(tmp_path / "b.json")


def test_numbers_that_json_does_not_have_are_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"psnr": float("inf"), "in": [{"x": np.float32("nan")}, 1.5]})
    strict = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert strict == {"psnr": None, "in": [{"x": None}, 1.5]}


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_record_says_what_it_was_made_with() -> None:
    made = record(figure=1)
    assert made["figure"] == 1
    assert {"smalti", "torch", "diffusers"} <= made["versions"].keys()
    assert made["machine"]["cores"] >= 1


def test_a_fingerprint_changes_with_content_shape_and_type() -> None:
    array = np.arange(6, dtype=np.int32)
    prints = [
        fingerprint("ab"),
        fingerprint("a", "b"),
        fingerprint(array),
        fingerprint(array.reshape(2, 3)),
        fingerprint(array.astype(np.int64)),
        fingerprint(array[::-1]),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(array) == fingerprint(array.copy())


def test_a_record_names_files_of_its_own_folder_alone(tmp_path: Path) -> None:
    assert beside(tmp_path, "scheduler/a.json") == tmp_path / "scheduler" / "a.json"
    for name in ("/dev/zero", "../a", "a/../../b", "", 3, None, "a\0b"):
        with pytest.raises(SmaltiError, match="one of its files"):
            beside(tmp_path, name)


def test_a_record_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(2**34)
    with pytest.raises(SmaltiError, match="it has more than 1,073,741,824 bytes"):
        read_json(tmp_path / "a.json")
