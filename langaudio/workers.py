"""Child processes for what is too heavy for a server: pictures, augmentation, identification.

Their imports take seconds and hundreds of megabytes. So a child is started when it is needed, serves one call
after the other, and ends after a while without one. A call that takes too long is ended with its process.
"""

from __future__ import annotations

import logging
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from langaudio.errors import LangaudioError, Unavailable

log = logging.getLogger(__name__)

_T = TypeVar("_T")

PROCESSES = 2
IDLE_S = 300.0
TIMEOUT_S = 120.0


class Workers:
    """Some processes, each started by the first call that finds none free.

    Args:
        processes: how many at most; further calls wait for one.
        idle_s: seconds without a call after which a process ends.
    """

    def __init__(self, processes: int = PROCESSES, idle_s: float = IDLE_S) -> None:
        self._slots = threading.BoundedSemaphore(processes)
        self._idle: list[tuple[_Child, float]] = []
        self._lock = threading.Lock()
        self._idle_s = idle_s
        self._looks = self._closed = False

    def call(self, function: Callable[..., _T], *arguments: object, timeout_s: float = TIMEOUT_S) -> _T:
        """Return what a function of a module says, called in a child process.

        Raises:
            LangaudioError: as the function does.
            Unavailable: no process is free in time, or the call took longer than ``timeout_s``.
        """
        if not self._slots.acquire(timeout=timeout_s):
            raise Unavailable("The server has more to compute than it can: try again in a minute.")
        try:
            child = self._child()
            try:
                succeeded, result = child.call(function, arguments, timeout_s)
            except BaseException:
                child.end()
                raise
            self._put_back(child)
            if not succeeded:
                raise result
            found: _T = result
            return found
        finally:
            self._slots.release()

    def processes(self) -> list[int]:
        """Return the ids of the processes that wait for a call."""
        with self._lock:
            return [child.pid for child, _ in self._idle]

    def close(self) -> None:
        """End all processes that wait for a call."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child, _ in idle:
            child.end()

    def _child(self) -> _Child:
        while True:
            with self._lock:
                if not self._idle:
                    return _Child()
                child, _ = self._idle.pop()
            if child.lives():
                return child

    def _put_back(self, child: _Child) -> None:
        if not child.lives():
            child.end()
            return
        with self._lock:
            if not self._closed:
                self._idle.append((child, time.monotonic()))
                self._look_later()
                return
        child.end()

    def _end_idle(self) -> None:
        limit = time.monotonic() - self._idle_s
        with self._lock:
            old = [child for child, since in self._idle if since <= limit]
            self._idle = [(child, since) for child, since in self._idle if since > limit]
            self._looks = False
            if self._idle:
                self._look_later()
        for child in old:
            child.end()

    def _look_later(self) -> None:
        """See to it that idle processes are looked after; one timer is enough for all."""
        if not self._looks:
            self._looks = True
            timer = threading.Timer(self._idle_s + 0.1, self._end_idle)
            timer.daemon = True
            timer.start()


class _Child:
    """A process that takes pickled calls on its standard input, and gives the results on its output."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, "-m", "langaudio.workers"], stdin=pipe, stdout=pipe)
        self.pid = self._process.pid

    def lives(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def call(
        self, function: Callable[..., Any], arguments: tuple[object, ...], timeout_s: float
    ) -> tuple[bool, Any]:
        """Return whether the function succeeded, and what it returned or raised."""
        assert self._process.stdin
        assert self._process.stdout
        deadline = time.monotonic() + timeout_s
        try:
            pickle.dump((_environment(), function, arguments), self._process.stdin)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Unavailable("The process that computes has ended: try again.") from None
        header = self._read(8, deadline)
        answer: tuple[bool, Any] = pickle.loads(self._read(int.from_bytes(header, "big"), deadline))  # noqa: S301 (our own child)
        return answer

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout
        pipe, pieces = self._process.stdout.fileno(), []
        while size:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise Unavailable("It took too long and was given up: try a shorter recording, or later.")
            piece = os.read(pipe, min(size, 2**20))
            if not piece:
                raise Unavailable("The process that computes has ended: the server's log says why.")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _environment() -> dict[str, str]:
    """Return the variables that a call depends on."""
    return {name: value for name, value in os.environ.items() if name.startswith(("LANGAUDIO_", "MLFLOW_"))}


def _take_on(environment: Mapping[str, str]) -> None:
    """Have the settings of whoever calls."""
    from langaudio.settings import settings
    from langaudio.store import default_store

    for name in _environment().keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    settings.cache_clear()
    default_store.cache_clear()


def _serve() -> None:
    """Be a child: answer calls until the parent has no more, or has gone."""
    answers = os.fdopen(os.dup(1), "wb")
    # What anything prints goes to the log.
    os.dup2(2, 1)
    known = _environment()
    while True:
        try:
            environment, function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 (our own parent)
        except EOFError:
            return
        if environment != known:
            _take_on(environment)
            known = environment
        try:
            answer: tuple[bool, Any] = True, function(*arguments)
        except Exception as error:
            answer = False, _portable(error, function)
        data = pickle.dumps(answer)
        answers.write(len(data).to_bytes(8, "big") + data)
        answers.flush()


def _portable(error: Exception, function: Callable[..., Any]) -> Exception:
    """Return what the parent is to raise: what it can read without importing what it must not."""
    if not isinstance(error, LangaudioError):
        log.exception("%s failed", function)
        return RuntimeError(f"{type(error).__name__} in a child process: its log has the traceback")
    light = next(kind for kind in type(error).__mro__ if kind.__module__.endswith(".errors"))
    portable: Exception = light(str(error))
    return portable


if __name__ == "__main__":
    _serve()
