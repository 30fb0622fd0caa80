"""What is not answered: requests that the page itself never makes, those of other pages, and large ones."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from smalti.app.shared import LARGEST_UPLOAD

LARGEST_MESSAGE = 2**20
"""Bytes of a request that uploads no file."""

_OWN = ("/assets/", "/static/", "/config", "/theme.css", "/favicon.ico", "/manifest.json")
_API = ("queue/", "upload", "heartbeat/", "cancel", "reset", "startup-events", "theme.css")
_UPLOAD = "/gradio_api/upload"
_AROUND_FILE = 2**16  # bytes of an upload that are not of its file
_READS = ("GET", "HEAD", "OPTIONS")
_OTHER_HOSTS = ("http:", "https:")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class OwnOnly:
    """Answers what the page itself asks for, and refuses all else that its framework would do, and large requests."""

    def __init__(self, app: Any, place: str):
        self._app = app
        self._own = (*_OWN, *(f"/gradio_api/{name}" for name in (*_API, f"file={place}/")))

    async def __call__(self, scope: Scope, receive: Receive, send: Any) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._require_own(scope)
            if scope["method"] not in _READS:
                receive = await _examined(scope, receive)
        except HTTPException as refused:
            await PlainTextResponse(refused.detail, refused.status_code)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _require_own(self, scope: Scope) -> None:
        if scope["path"] != "/" and not scope["path"].startswith(self._own):
            raise HTTPException(404, "There is no such page.")
        if scope["method"] not in _READS and _is_of_another_page(Headers(scope=scope)):
            raise HTTPException(403, "That was asked by another page.")


def _is_of_another_page(headers: Headers) -> bool:
    """Whether a browser says that a page of another host or port asks; what is no browser says nothing."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        return True
    return site is None and origin is not None and origin.partition("://")[2] != headers.get("host")


async def _examined(scope: Scope, receive: Receive) -> Receive:
    """The body of a request, of which no more is read than is taken; a message is read whole, and names no other host.

    Raises:
        HTTPException: it is too large, no JSON, or names a file of another host.
    """
    if scope["path"].startswith(_UPLOAD):
        return _counted(receive, LARGEST_UPLOAD + _AROUND_FILE)
    body = await Request(scope, _counted(receive, LARGEST_MESSAGE)).body()
    try:
        if body:
            json.loads(body, object_pairs_hook=_here_only)
    except ValueError:
        raise HTTPException(400, "That is no message of the page.") from None
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> MutableMapping[str, Any]:
        return first.pop() if first else await receive()

    return again


def _counted(receive: Receive, most: int) -> Receive:
    """A body that ends with a refusal where it comes to more bytes than are taken."""
    taken = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(413, "That is too large.")
        return message

    return counted


def _here_only(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a message, unless it is a file that gradio would fetch from another host."""
    for name, value in pairs:
        if name == "path" and isinstance(value, str) and value.strip().lower().startswith(_OTHER_HOSTS):
            raise HTTPException(400, "Files of other hosts are not fetched.")
    return dict(pairs)
