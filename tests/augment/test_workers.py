"""Processes that render: in order, apart from each other, and gone when their parent is."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest

from langaudio.augment import load
from langaudio.augment.rendering import Job, Renderer, Sample
from langaudio.augment.workers import Workers, cores


@dataclass(frozen=True)
class Acted(Renderer):
    """Does what a clip's bytes say, in the child."""

    def render(self, job: Job) -> Iterator[Sample]:
        if job.data == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if job.data == b"defect":
            raise ZeroDivisionError("of ours")
        if job.data:
            yield Sample(job.clip_id, 0, os.getpid(), 0.0, 1.0, job.data * 1_000_000, b"{}")


RENDERER = Acted("fr", load("default"), "abc", 0)


def job(clip_id: str, data: bytes) -> tuple[str, Callable[[], Job]]:
    return clip_id, lambda: Job(clip_id, None, [0], data)


def answers(workers: Workers, jobs: list[tuple[str, Callable[[], Job]]]) -> dict[str, str]:
    """Clip → what became of it."""
    found = {}
    for name, future in workers.map(iter(jobs)):
        error = future.exception()
        found[name] = f"{type(error).__name__}: {error}" if error else future.result()[0].flac[:1].decode()
    return found


def workers_of(process: psutil.Process) -> list[int]:
    return [child.pid for child in process.children() if "langaudio.augment.workers" in child.cmdline()]


def gone(pids: list[int]) -> bool:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    return not alive


def test_answers_come_in_order_from_several_processes() -> None:
    with Workers(3, RENDERER) as workers:
        found = [
            (name, future.result()[0])
            for name, future in workers.map(job(f"clip{number}", b"x") for number in range(60))
        ]
    assert [name for name, _ in found] == [f"clip{number}" for number in range(60)]
    assert {sample.clip_id for _, sample in found} == {name for name, _ in found}
    # The number of the process stands where the number of the copy would.
    pids = {sample.copy for _, sample in found}
    assert 1 < len(pids) <= 3
    assert os.getpid() not in pids
    assert gone(list(pids))


def test_a_clip_that_kills_its_process_harms_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    jobs = [job("a", b"x"), job("b", b"die"), job("c", b"defect"), job("d", b""), job("e", b"x")]
    with Workers(2, RENDERER) as workers:
        found = answers(workers, jobs * 3)
    assert found == {
        "a": "x",
        "b": "Unrendered: The process that rendered it ended: SIGKILL.",
        "c": "Unrendered: ZeroDivisionError: of ours",
        "d": "Unrendered: It has no stretch of speech that is long enough.",
        "e": "x",
    }
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_what_goes_wrong_before_a_clip_is_rendered_is_not_the_clips_fault() -> None:
    def unavailable() -> Job:
        raise ConnectionError("no bucket")

    with Workers(1, RENDERER) as workers:
        [(_, future)] = workers.map([("a", unavailable)])
        with pytest.raises(ConnectionError, match="no bucket"):
            future.result()


def test_processes_end_at_once_if_nobody_wants_their_answers() -> None:
    children = []

    def interrupted() -> None:
        with Workers(2, RENDERER) as workers:
            for _ in workers.map(job(str(number), b"x") for number in range(1_000)):
                children.extend(workers_of(psutil.Process()))
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert children
    assert gone(children)


PARENT = """
import itertools, psutil, sys
from tests.augment.test_workers import RENDERER, job
from langaudio.augment.workers import Workers
with Workers(2, RENDERER) as workers:
    for number, _ in enumerate(workers.map(job(str(at), b"x") for at in itertools.count())):
        if number == 20:
            print(*[child.pid for child in psutil.Process().children()], flush=True)
"""


def test_a_killed_parent_leaves_no_processes() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        children = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.kill()
    assert gone(children)


def _in_a_daemon(results: multiprocessing.Queue[str]) -> None:
    # What Airflow does: a process of its pool, which may be daemonic, forks one that runs the task.
    child = os.fork()
    if child == 0:
        with Workers(2, RENDERER) as workers:
            results.put(json.dumps(answers(workers, [job("a", b"x"), job("b", b"x")])))
            results.close()
            results.join_thread()
        os._exit(0)
    os.waitpid(child, 0)


def test_they_work_in_a_task_of_airflow_which_is_forked_from_a_daemonic_process() -> None:
    forked = multiprocessing.get_context("fork")
    results = forked.Queue()
    process = forked.Process(target=_in_a_daemon, args=(results,), daemon=True)
    process.start()
    try:
        assert json.loads(results.get(timeout=60)) == {"a": "x", "b": "x"}
    finally:
        process.join(10)
    assert process.exitcode == 0


def test_cores_are_those_that_may_be_used() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= cores() <= len(before)
