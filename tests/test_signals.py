"""Being told to end: at once, or when a step is done."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from smalti.signals import Ended, ending, ending_later


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_block_is_left_at_once_and_handlers_are_as_before(number: int) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        with ending():
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(Ended) as ended:
        work()
    assert ended.value.number == number
    assert signal.getsignal(number) == before


def test_a_block_that_ends_later_is_told_and_a_second_signal_is_not_waited_for() -> None:
    seen: list[int | None] = []

    def work() -> None:
        with ending(), ending_later() as told:
            for _ in range(2):
                seen.append(told())
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(Ended):
        work()
    assert seen == [None, signal.SIGTERM]


def test_threads_that_get_no_signals_go_on_without() -> None:
    seen: list[int | None] = []

    def work() -> None:
        with ending(), ending_later() as told:
            seen.append(told())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_verb_that_is_told_to_end_leaves_nothing_half_written(photo_folder: Path, tmp_path: Path) -> None:
    verb = [sys.executable, "-m", "smalti", "encode", str(photo_folder), "--codec", "photo-high", "--size", "128"]
    many = ["--views", "999", "--crop", "random", "--out", str(tmp_path / "a" / "latents")]
    with subprocess.Popen([*verb, *many], stderr=subprocess.PIPE) as process:
        while not list(tmp_path.glob("a/.latents.*.partial")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert process.stderr.read().decode().splitlines()[-1] == (
            "smalti encode: told to end; what was half done is cleared away"
        )
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
