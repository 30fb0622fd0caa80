"""Requests that the page itself never makes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from smalti.app.guards import LARGEST_MESSAGE
from smalti.app.shared import LARGEST_UPLOAD

EVIL = {"origin": "http://evil.example"}
BYTES = {"files": ("a.png", b"bytes")}


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another host, and what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x.png", asked
    server.shutdown()
    server.server_close()
    thread.join()


def _message(address: str, path: str) -> dict[str, object]:
    """What the page would send where a photo is chosen."""
    dependencies = httpx.get(f"{address}config").json()["dependencies"]
    number = next(each["id"] for each in dependencies if any(event == "upload" for _, event in each["targets"]))
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    return {"data": [file], "fn_index": number, "session_hash": "abc", "event_data": None}


def test_no_file_is_fetched_from_another_host(
    address: str, elsewhere: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = elsewhere

    async def get(url: str) -> httpx.Response:  # as gradio does, where it takes a host for a public one
        async with httpx.AsyncClient() as client:
            return await client.get(url)

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_get", get)
    join = f"{address}gradio_api/queue/join"
    hidden = json.dumps(_message(address, url)).replace('"path": ', '"path": "/tmp/x.png", "p\\u0061th": ')
    for content in (json.dumps(_message(address, url)), hidden):
        headers = {"content-type": "application/json"}
        assert httpx.post(join, content=content, headers=headers).text == "Files of other hosts are not fetched."
    assert httpx.post(join, json=_message(address, "/tmp/x.png")).status_code == 200
    with httpx.stream("GET", f"{address}gradio_api/queue/data?session_hash=abc", timeout=10) as events:
        assert any("process_completed" in line for line in events.iter_lines())
    assert not asked


@pytest.mark.parametrize(("path", "most"), [("upload", LARGEST_UPLOAD), ("queue/join", LARGEST_MESSAGE)])
def test_a_body_that_does_not_say_how_large_it_is_is_counted(address: str, path: str, most: int) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        while sent < most + 2**17:
            sent += 2**15
            yield bytes(2**15)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert httpx.post(f"{address}gradio_api/{path}", content=chunks(), headers=headers).status_code == 413


@pytest.mark.parametrize(
    "headers", [EVIL, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
)
def test_other_pages_can_send_nothing(address: str, headers: dict[str, str]) -> None:
    assert httpx.post(f"{address}gradio_api/upload", files=BYTES, headers=headers).status_code == 403


def test_the_page_itself_can(address: str) -> None:
    for headers in ({"origin": address.rstrip("/")}, {"sec-fetch-site": "same-origin"}, {}):
        assert httpx.post(f"{address}gradio_api/upload", files=BYTES, headers=headers).status_code == 200
