"""The page served: to this machine alone unless told otherwise, and nothing but what belongs to it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

from smalti.app.look import CSS, theme
from smalti.app.page import Subject, build
from smalti.app.shared import LARGEST_UPLOAD
from smalti.errors import SmaltiError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_WAITING = 32
_MOST_VISITORS = 100
_PORTS = range(1, 2**16)

_OWN = ("/assets/", "/static/", "/config", "/theme.css", "/favicon.ico", "/manifest.json")
_API = ("queue/", "upload", "heartbeat/", "cancel", "reset", "startup-events", "theme.css")


class _OwnOnly:
    """Answers what the page itself asks for, and refuses all else that its framework would do, and large requests."""

    def __init__(self, app: Any, place: str):
        self._app = app
        self._own = (*_OWN, *(f"/gradio_api/{name}" for name in (*_API, f"file={place}/")))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            length = dict(scope["headers"]).get(b"content-length", b"0")
            if scope["path"] != "/" and not scope["path"].startswith(self._own):
                await PlainTextResponse("There is no such page.", 404)(scope, receive, send)
                return
            if not length.isdigit() or int(length) > LARGEST_UPLOAD + 2**16:
                await PlainTextResponse("That is too large.", 413)(scope, receive, send)
                return
        await self._app(scope, receive, send)


@contextmanager
def served(subject: Subject | None = None, host: str = "127.0.0.1", port: int | None = None) -> Iterator[str]:
    """Serve the page for as long as the block lasts, and yield its address; what was uploaded is then cleared away.

    Without a port it is the first from 7860 on that is free.

    Raises:
        SmaltiError: the port is taken, or none.
    """
    if port is not None and port not in _PORTS:
        raise SmaltiError(f"port {port} is none; take one from {_PORTS[0]} to {_PORTS[-1]}.")
    with TemporaryDirectory(prefix="smalti-app-") as made:
        place = str(Path(made).resolve())
        os.environ |= {"GRADIO_TEMP_DIR": place, "GRADIO_ANALYTICS_ENABLED": "False"}
        page = build(subject)
        page.queue(max_size=_MOST_WAITING, default_concurrency_limit=1)
        # Whoever else's name leads to this machine, a page of theirs does not get at this one.
        allowed = [*_LOOPBACK, "[::1]"] if host in _LOOPBACK else ["*"]
        guards = [Middleware(TrustedHostMiddleware, allowed_hosts=allowed), Middleware(_OwnOnly, place=place)]
        try:
            page.launch(
                server_name=host,
                server_port=port,
                max_file_size=LARGEST_UPLOAD,
                app_kwargs={"middleware": guards, "docs_url": None, "redoc_url": None, "openapi_url": None},
                theme=theme(),
                css=CSS,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                run_history=False,
                ssr_mode=False,
                mcp_server=False,
                enable_monitoring=False,
                pwa=False,
                footer_links=[],
                state_session_capacity=_MOST_VISITORS,
            )
        except OSError as error:
            told = "no port from 7860 on is free" if port is None else f"{host}:{port} is taken, or not of this machine"
            raise SmaltiError(f"{told}; name another by --port or --host.") from error
        try:
            yield str(page.local_url)
        finally:
            page.close(verbose=False)


def launch(model: str | None, *, host: str, port: int | None, device: str | None) -> None:
    """Serve the page of a model, or without one that of the codecs, until told to end.

    Raises:
        SmaltiError: there is no such model or device, or the port is taken.
    """
    subject = None if model is None else Subject.load(model, device)
    with served(subject, host, port) as address:
        print(f"{address} shows the page; Ctrl-C ends it", flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            print("\nended; what was uploaded is cleared away")
