"""A real site to crawl."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp


@contextmanager
def served(site: ASGIApp) -> Iterator[str]:
    """Serve an ASGI application on a free port of 127.0.0.1; give its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(site, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], str]]:
    """Return a function that serves an application until the end of the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda site: stack.enter_context(served(site))
