"""One small site of every language for all tests of the demo, served for real on the loopback interface."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path

import pytest
import uvicorn

from langaudio.demo.site import app, build_synthetic
from langaudio.settings import settings

SPEAKER_KEY = "a key for the demo's tests"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass(frozen=True)
class Browser:
    """Asks for a path as it is: unlike other clients it does not resolve dots before."""

    port: int

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer


@contextmanager
def served(folder: Path) -> Iterator[Browser]:
    """Serve a site folder while a ``with`` block lasts."""
    # The socket listens before the server runs, so nobody has to wait for it.
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(folder), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Browser(listener.getsockname()[1])
    server.should_exit = True
    thread.join()


@contextmanager
def keyed(key: str = SPEAKER_KEY) -> Iterator[None]:
    """Set the key of speakers while a ``with`` block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGAUDIO_SPEAKER_KEY", key)
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture
def speaker_key() -> Iterator[None]:
    """The key that ``site`` was built with."""
    with keyed():
        yield


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All six languages, with three speakers and ten good clips each."""
    folder = tmp_path_factory.mktemp("demo") / "site"
    with keyed():
        build_synthetic(folder, speakers=3, clips=10)
    return folder


@pytest.fixture(scope="session")
def browser(site: Path) -> Iterator[Browser]:
    with served(site) as browser:
        yield browser
