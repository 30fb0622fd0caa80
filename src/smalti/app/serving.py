"""The page served: to this machine alone unless told otherwise, and nothing but what belongs to it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from smalti.app.guards import OwnOnly
from smalti.app.look import CSS, theme
from smalti.app.page import Subject, build
from smalti.app.shared import LARGEST_UPLOAD
from smalti.errors import SmaltiError

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_MOST_WAITING = 32
_MOST_VISITORS = 100
_PORTS = range(1, 2**16)


@contextmanager
def served(subject: Subject | None = None, host: str = "127.0.0.1", port: int | None = None) -> Iterator[str]:
    """Serve the page for as long as the block lasts, and yield its address; what was uploaded is then cleared away.

    Without a port it is the first from 7860 on that is free.

    Raises:
        SmaltiError: the port is taken, or none, or the page does not come up.
    """
    if port is not None and port not in _PORTS:
        raise SmaltiError(f"port {port} is none; take one from {_PORTS[0]} to {_PORTS[-1]}.")
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host  # IPv6, as addresses hold it
    with TemporaryDirectory(prefix="smalti-app-") as made, _environment():
        place = str(Path(made).resolve())
        os.environ |= {"GRADIO_TEMP_DIR": place, "GRADIO_ANALYTICS_ENABLED": "False"}
        page = build(subject)
        page.queue(max_size=_MOST_WAITING, default_concurrency_limit=1)
        try:
            _start(page, host, port, place)
            yield str(page.local_url)
        finally:
            page.close(verbose=False)


@contextmanager
def _environment() -> Iterator[None]:
    """What is set in the environment within the block is set there alone."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _start(page: gr.Blocks, host: str, port: int | None, place: str) -> None:
    # Whoever else's name leads to this machine, a page of theirs does not get at this one.
    allowed = list(_LOOPBACK) if host in _LOOPBACK else ["*"]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=allowed), Middleware(OwnOnly, place=place)]
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
    except Exception as error:  # gradio asks for the page itself, and says in many ways that it is not there
        told = f"the page does not come up at {host} ({error})"
        raise SmaltiError(f"{told}; name another by --host, or mend the settings of the proxy.") from error


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
