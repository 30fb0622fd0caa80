"""What the server answers, and what it does not."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import gradio as gr
import httpx
import pytest

from smalti.app import Subject, served
from smalti.app.shared import LARGEST_UPLOAD
from smalti.cli import main
from smalti.errors import SmaltiError


def test_the_page_is_there_and_calls_for_no_other_host(address: str) -> None:
    page = httpx.get(address)
    assert page.status_code == 200
    assert "a run" in page.text
    assert "fonts.googleapis" not in httpx.get(f"{address}theme.css").text


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=http://127.0.0.1:1/",
        "gradio_api/proxy=http://127.0.0.1:1/",
        "gradio_api/info",
        "docs",
        "openapi.json",
        "monitoring",
    ],
)
def test_nothing_else_is_served(address: str, path: str) -> None:
    assert httpx.get(address + path).status_code == 404


def test_files_of_the_run_are_not_served_but_through_the_page(address: str, subject: Subject) -> None:
    place = os.environ["GRADIO_TEMP_DIR"]
    for path in (subject.folder.generator.metrics, Path(f"{place}/../../etc/passwd")):
        assert httpx.get(f"{address}gradio_api/file={path}").status_code in (403, 404)


def test_whoever_calls_this_machine_by_another_name_is_refused(address: str) -> None:
    assert httpx.get(address, headers={"host": "evil.example"}).status_code == 400


def test_large_files_are_refused_before_they_are_read(address: str) -> None:
    files = {"files": ("large.png", bytes(LARGEST_UPLOAD + 2**17))}
    assert httpx.post(f"{address}gradio_api/upload", files=files).status_code == 413
    place = Path(os.environ["GRADIO_TEMP_DIR"])
    assert not [path for path in place.rglob("*") if path.is_file() and path.stat().st_size >= LARGEST_UPLOAD]


def test_the_page_is_served_under_an_address_of_ipv6() -> None:
    with served(host="::1") as address:
        assert address.startswith("http://[::1]:")
        assert httpx.get(address).status_code == 200
        assert httpx.get(address, headers={"host": "evil.example"}).status_code == 400


def test_where_the_page_cannot_be_reached_by_itself_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: False)
    monkeypatch.setattr("smalti.app.serving.build", lambda subject: gr.Blocks())
    before = dict(os.environ)
    with pytest.raises(SmaltiError, match=r"does not come up at 127\.0\.0\.1"), served():
        pass
    assert dict(os.environ) == before


def test_a_port_that_is_none_or_taken_is_said() -> None:
    with pytest.raises(SmaltiError, match="port 0 is none"), served(port=0):
        pass
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SmaltiError, match="is taken"), served(port=taken.getsockname()[1]):
            pass


def test_without_gradio_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("smalti.app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app"]) == 2
    assert capsys.readouterr().err == (
        "smalti app: the page needs gradio, which is not installed; run: pip install '.[app]'\n"
    )


@pytest.mark.soak
def test_the_verb_serves_until_it_is_told_to_end_and_leaves_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "smalti", "app"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split()[0]
        assert "codecs that come along" in httpx.get(address).text
        assert list(tmp_path.glob("smalti-app-*"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert "ended" in process.stdout.read()
    assert not list(tmp_path.glob("smalti-app-*"))
