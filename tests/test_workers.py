"""Child processes that answer calls: found again, ended when idle, and given up when they take too long."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from langaudio.errors import LangaudioError, Unavailable
from langaudio.languages import get
from langaudio.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(processes=1)
    yield workers
    workers.close()


def test_calls_share_a_process_that_is_another_than_ours(workers: Workers) -> None:
    first, second = workers.call(os.getpid), workers.call(os.getpid)
    assert first == second != os.getpid()


def test_what_a_call_raises_is_raised(workers: Workers) -> None:
    process = workers.call(os.getpid)
    with pytest.raises(LangaudioError, match="'xx' is not a known language tag"):
        workers.call(get, "xx")
    assert workers.call(os.getpid) == process


def test_a_call_that_takes_too_long_is_given_up_with_its_process(workers: Workers) -> None:
    process = workers.call(os.getpid)
    with pytest.raises(Unavailable, match="took too long"):
        workers.call(time.sleep, 600, timeout_s=0.2)
    assert not psutil.pid_exists(process)
    assert workers.call(os.getpid) != process


def test_a_process_that_dies_is_told_and_replaced(workers: Workers) -> None:
    process = workers.call(os.getpid)
    with pytest.raises(Unavailable, match="has ended"):
        workers.call(os._exit, 3)
    assert workers.call(os.getpid) != process


def test_an_idle_process_ends() -> None:
    workers = Workers(processes=1, idle_s=0.0)
    process = psutil.Process(workers.call(os.getpid))
    process.wait(30)
    assert workers.processes() == []


def test_many_calls_leave_no_threads_behind(workers: Workers) -> None:
    workers.call(os.getpid)
    before = threading.active_count()
    for _ in range(20):
        workers.call(os.getpid)
    assert threading.active_count() == before


def test_closing_ends_all(workers: Workers) -> None:
    process = workers.call(os.getpid)
    workers.close()
    assert not psutil.pid_exists(process)
