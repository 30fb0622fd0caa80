"""Progress: a bar on a terminal, lines in a file, nothing where it is not wanted."""

import io
import sys

import pytest

from smalti import progress
from smalti.progress import Progress, is_shown_live, quiet, while_starting


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _shown(monkeypatch: pytest.MonkeyPatch, file: io.StringIO) -> str:
    monkeypatch.setattr(sys, "stderr", file)
    with Progress(total=300, desc="training", unit="image") as bar:
        for _ in range(3):
            bar.update(100)
            bar.say(loss="0.5")
    return file.getvalue()


def test_a_terminal_is_shown_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _shown(monkeypatch, _Terminal())
    assert "\r" in shown
    assert "300/300" in shown


def test_a_log_file_gets_plain_lines_and_no_more_than_one_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _shown(monkeypatch, io.StringIO()) == ""
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    lines = _shown(monkeypatch, io.StringIO())
    assert "\r" not in lines
    assert lines.endswith("\n")
    assert all(line.startswith("training: ") for line in lines.splitlines())
    last = lines.splitlines()[-1]
    assert "300 of 300 images" in last
    assert last.endswith("00:00 left, loss=0.5")


def test_nothing_is_shown_to_who_wants_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    with quiet():
        assert _shown(monkeypatch, io.StringIO()) == ""
        assert _shown(monkeypatch, _Terminal()) == ""
        assert not is_shown_live()
    assert is_shown_live()  # the terminal is still the error output


def test_a_terminal_is_told_that_something_starts_and_is_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    for file, shows in ((_Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", file)
        with while_starting("smalti app"):
            assert ("smalti app: starting" in file.getvalue()) == shows
        *_, last, end = f"\r{file.getvalue()}".split("\r")
        assert (last.strip(), end) == ("", "")
