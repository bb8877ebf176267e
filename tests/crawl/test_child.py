"""The child process of a crawl: it does not outlive its parent, and nothing is lost between them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from starlette.responses import Response

from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging
from langaudio.store import Store
from tests.crawl import library as site
from tests.crawl.library import Library

FILE = "/IMG/mp3/7.mp3"
CRAWL = """
from langaudio.crawl.stage import crawl
from langaudio.store import default_store
crawl(default_store(), "fr", source="demo", run="one")
"""


def children() -> list[psutil.Process]:
    """The crawl's children of this process and of those that it started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with_name = process.is_running() and "langaudio.crawl.child" in " ".join(process.cmdline())
        found += [process] if with_name else []
    return found


def test_a_child_that_is_killed_fails_the_crawl(store: Store, library: Library) -> None:
    def kill(_: Any) -> Response:
        for child in children():
            child.kill()
        return Response()

    library.answers[FILE] = kill
    with pytest.raises(RuntimeError, match="the crawl's process ended with -9"):
        crawl(store, "fr", source="demo", run="one")
    assert not Staging(store, "demo", "one", "fr").complete()


def test_a_child_whose_parent_is_killed_ends(store: Store, library: Library) -> None:
    held = threading.Event()
    library.answers[FILE] = _once_killed(held)
    parent = subprocess.Popen([sys.executable, "-c", CRAWL], stderr=subprocess.DEVNULL)
    assert _until(lambda: FILE in library.asked)
    (child,) = children()
    parent.kill()
    parent.wait()
    held.set()
    child.wait(60)
    asked = len(library.asked)
    time.sleep(0.2)
    assert len(library.asked) == asked


def test_a_file_that_looks_like_two_comes_as_one(store: Store, library: Library) -> None:
    library.answers[FILE] = site.body(b"audio 5\nabcde" * 9)
    crawl(store, "fr", source="demo", run="one")
    staging = Staging(store, "demo", "one", "fr")
    (clip,) = [clip for clip in staging.clips() if (clip.source_url or "").endswith(FILE)]
    assert store.get(staging.key(f"audio/{clip.audio}")) == b"audio 5\nabcde" * 9


def _once_killed(held: threading.Event) -> Callable[[Any], Response]:
    def answer(_: Any) -> Response:
        held.wait(60)
        return Response(b"audio" * 99)

    return answer


def _until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()
