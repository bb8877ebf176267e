"""What the application keeps ends with it; what it was handed does not."""

from __future__ import annotations

import math

import psutil
from fastapi.testclient import TestClient

from langaudio.pages.app import create_app
from langaudio.pages.parts import Parts
from langaudio.workers import Workers
from tests.pages.conftest import RUNNER


def asked_and_ended(parts: Parts) -> list[psutil.Process]:
    """Have a process of each kind work while the application runs; return them after its end."""
    with TestClient(create_app(lambda: RUNNER, parts)):
        for workers in (parts.readers, parts.workers):
            assert workers.call(math.sqrt, 4.0) == 2.0
        return [psutil.Process(pid) for each in (parts.readers, parts.workers) for pid in each.processes()]


def test_its_own_processes_end_with_the_application() -> None:
    ended = asked_and_ended(Parts())
    assert len(ended) == 2
    assert not any(process.is_running() for process in ended)


def test_processes_that_it_was_handed_go_on() -> None:
    pair = Workers(), Workers()
    try:
        kept = asked_and_ended(Parts(pair))
        assert len(kept) == 2
        assert all(process.is_running() for process in kept)
        assert [workers.call(math.sqrt, 4.0) for workers in pair] == [2.0, 2.0]
        assert [pid for workers in pair for pid in workers.processes()] == [process.pid for process in kept]
    finally:
        for workers in pair:
            workers.close()
