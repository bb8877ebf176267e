"""Processes that render clips side by side, and answer in the order in which they were asked.

Each is a child of its own (``python -m langaudio.augment.workers``) behind a pair of sockets, for three
reasons. An Airflow task may run in a daemonic process, to which multiprocessing gives no children. A fork
would take along the threads of the parent's S3 client. And a child whose parent is gone reads the end of its
socket and ends, however the parent was killed.

Nothing but clips goes in, and nothing but samples comes out: the bucket is the parent's.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Self, TypeVar

from langaudio.augment.rendering import Job, Renderer, Sample
from langaudio.errors import LangaudioError

_CLIPS_AHEAD = 8
"""For each process: so that none waits for the bucket, or for one that is behind with a long clip."""

_T = TypeVar("_T")


class Unrendered(LangaudioError):
    """A clip that cannot be rendered; the sentence says why."""


class Workers:
    """Some processes, started as they are needed.

    Args:
        number: of processes.
        renderer: what they do to a clip.
    """

    def __init__(self, number: int, renderer: Renderer) -> None:
        self._number = number
        self._renderer = renderer
        self._threads = ThreadPoolExecutor(self._number, "langaudio-worker")
        self._children: list[_Child] = []
        # A place without a child gets one when somebody comes for it.
        self._idle: SimpleQueue[_Child | None] = SimpleQueue()
        for _ in range(self._number):
            self._idle.put(None)

    def map(self, jobs: Iterable[tuple[_T, Callable[[], Job]]]) -> Iterator[tuple[_T, Future[list[Sample]]]]:
        """Yield a future that is done for each job, in the order of the jobs, which are taken a few ahead.

        A result is an exception where a job could not be made, or is `Unrendered`.

        Args:
            jobs: what is to be handed back with the result, and a function that gives the job, called in
                a thread.
        """
        ahead: deque[tuple[_T, Future[list[Sample]]]] = deque()
        for name, job in jobs:
            ahead.append((name, self._threads.submit(self._render, job)))
            if len(ahead) >= _CLIPS_AHEAD * self._number:
                yield self._done(ahead)
        while ahead:
            yield self._done(ahead)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # Threads wait for answers that nobody wants any more.
            for child in list(self._children):
                child.kill()
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            child.end()

    @staticmethod
    def _done(ahead: deque[tuple[_T, Future[list[Sample]]]]) -> tuple[_T, Future[list[Sample]]]:
        name, future = ahead.popleft()
        future.exception()
        return name, future

    def _render(self, make_job: Callable[[], Job]) -> list[Sample]:
        job = make_job()
        child, alive = self._idle.get(), None
        try:
            child = child or self._start()
            answer = child.ask(job)
            alive = child
        except (EOFError, OSError):
            assert child is not None
            self._children.remove(child)
            raise Unrendered(f"The process that rendered it ended: {child.end()}.") from None
        finally:
            self._idle.put(alive)
        if isinstance(answer, str):
            raise Unrendered(answer)
        return answer

    def _start(self) -> _Child:
        child = _Child(self._renderer)
        self._children.append(child)
        return child


class _Child:
    def __init__(self, renderer: Renderer) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "langaudio.augment.workers", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # One thread a process: so many processes as cores are enough.
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self._socket = Connection(ours.detach())
        self._socket.send(renderer)
        try:
            self._socket.recv()
        except EOFError:
            raise RuntimeError(f"A process to render clips does not start: {self.end()}.") from None

    def ask(self, job: Job) -> list[Sample] | str:
        """Return the samples of a clip, or why there are none."""
        self._socket.send(job)
        answer: list[Sample] | str = self._socket.recv()
        return answer

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> str:
        """Let it end by itself, which an idle one does at once; return how it ended."""
        self._socket.close()
        status = self._process.wait()
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def cores() -> int:
    """Return how many cores this process may use: its affinity, and what its container allows."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


def main(descriptor: int) -> None:
    """Render what comes through a socket, until it ends."""
    # The parent is told to stop as well, and closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        renderer: Renderer = connection.recv()
        connection.send("ready")
        while True:
            connection.send(_answer(renderer, connection.recv()))
    except (EOFError, ConnectionError):
        return


def _answer(renderer: Renderer, job: Job) -> list[Sample] | str:
    try:
        return list(renderer.render(job)) or "It has no stretch of speech that is long enough."
    except LangaudioError as error:
        return str(error)
    except Exception as error:
        # A defect of ours, but no reason to leave out the other clips.
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(int(sys.argv[1]))
