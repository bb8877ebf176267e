"""What happens when a service ends by itself, seen at a real supervisord with services of two processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from langaudio import services
from langaudio.services import config
from langaudio.settings import Settings

_SERVER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("worker", worker.pid, flush=True)
worker.wait()
"""


def test_the_others_stop_and_the_log_of_the_dead_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "server.py"
    script.write_text(_SERVER)
    command = [sys.executable, str(script)]
    monkeypatch.setattr(
        config, "commands", lambda _: dict.fromkeys(("s3", "mlflow", "demo-site", "airflow-api"), command)
    )
    (tmp_path / "logs").mkdir()
    file = config.write_supervisor_config(Settings(home=tmp_path))
    supervisord = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", file.name],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        logs = [tmp_path / "logs" / f"{name}.log" for name in ("s3", "mlflow", "demo-site", "airflow-api")]
        until(lambda: services.running(tmp_path) and all(log.exists() and log.stat().st_size for log in logs))
        started = psutil.Process(supervisord.pid).children(recursive=True)
        worker = int((tmp_path / "logs" / "mlflow.log").read_text().split()[1])
        server = psutil.Process(worker).ppid()

        os.kill(server, signal.SIGKILL)

        supervisord.wait(60)
        note = services.death_note(tmp_path)
        assert note
        assert note.startswith("mlflow ended by itself.")
        assert f"worker {worker}" in note
        # Nothing is left, not even the worker of the one that was killed: it would keep its port.
        _, left = psutil.wait_procs(started, timeout=10)
        assert left == []
    finally:
        supervisord.kill()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
