import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from smalti.errors import SmaltiError
from smalti.files import refuse_occupied
from smalti.locks import only_writer, refuse_locked
from smalti.recipes import CreateSettings, create


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of a folder."""
    code = (
        "import sys; from pathlib import Path; from smalti.locks import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_two_processes_do_not_write_into_one_folder(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SmaltiError, match=f": process {holder.pid} on .* is writing there"), only_writer(out):
        pass
    holder.kill()
    holder.wait()
    with only_writer(out):
        pass
    refuse_occupied(out)  # what is left of a lock is nobody's work


def test_a_folder_can_be_asked_for_its_writer_without_anything_being_put_there(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(SmaltiError, match=f"process {holder.pid} on .* is writing there"):
        refuse_locked(tmp_path / "out")
    holder.kill()
    holder.wait()
    refuse_locked(tmp_path / "out")
    (tmp_path / "free").mkdir()
    refuse_locked(tmp_path / "free")
    assert not any((tmp_path / "free").iterdir())


@pytest.mark.parametrize("resume", [False, True])
def test_of_two_creates_at_once_one_is_told_who_writes_and_changes_nothing(
    holder: subprocess.Popen[str], tmp_path: Path, photo_folder: Path, resume: bool
) -> None:
    before = sorted((tmp_path / "out").iterdir())
    with pytest.raises(SmaltiError, match=f"process {holder.pid} on .* wait for it, or name another folder"):
        create(photo_folder, tmp_path / "out", resume=resume)
    assert sorted((tmp_path / "out").iterdir()) == before


def test_a_create_that_clears_what_another_had_begun_says_so(
    tmp_path: Path, photo_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, settings = tmp_path / "out" / ".latents.12345678.partial", CreateSettings(size=16, held_out=24)
    left.mkdir(parents=True)
    with FileLock(left.with_name(f"{left.name}.lock")), pytest.raises(SmaltiError, match="is not empty"):
        create(photo_folder, tmp_path / "out", settings)
    assert left.exists()
    assert capsys.readouterr().out == ""
    with pytest.raises(SmaltiError, match="hold out fewer"):
        create(photo_folder, tmp_path / "out", settings)
    assert not left.exists()
    said = f"{tmp_path / 'out' / 'latents'}: what a run before this had not finished is cleared"
    assert capsys.readouterr().out.count(said) == 1


def test_a_lock_makes_the_folder_that_it_is_for_and_leaves_none_that_is_empty(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    with only_writer(deep):
        assert deep.is_dir()
    assert not any(tmp_path.iterdir())
    with only_writer(deep):
        (deep / "file").touch()
    assert (deep / "file").exists()
    with pytest.raises(SmaltiError, match="a file of that name is in the way"), only_writer(deep / "file"):
        pass


def test_the_next_writer_clears_files_that_a_killed_one_had_begun(tmp_path: Path) -> None:
    write = (
        "import os, sys; from pathlib import Path; import smalti.files as files\n"
        "files._flush = lambda path: os.kill(os.getpid(), 9)\n"
        "files.write_whole(Path(sys.argv[1]) / 'manifest.json', b'{}')"
    )
    subprocess.run([sys.executable, "-c", write, str(tmp_path)])
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".manifest.json.")
    with only_writer(tmp_path):
        with only_writer(tmp_path):
            pass
        assert not left.exists()
    (tmp_path / left.name).touch()
    refuse_occupied(tmp_path)
