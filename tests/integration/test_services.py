"""The local services: what they listen on, how they stop and start, and what they say when one dies."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from langaudio import registry, services
from langaudio.errors import LangaudioError
from langaudio.services.airflow_api import AirflowApi
from langaudio.services.watch import DEATH_NOTE
from langaudio.settings import settings
from langaudio.store import default_store
from tests.integration.conftest import first_run_id
from tests.integration.story import cli


def test_every_server_listens_on_loopback_only(home: Path) -> None:
    root = psutil.Process(int((home / "supervisord.pid").read_text()))
    pids = {process.pid for process in (root, *root.children(recursive=True))}
    # Asked of the whole machine: a process that ends meanwhile is left out, and no error.
    listening = [
        connection.laddr
        for connection in psutil.net_connections("tcp")
        if connection.pid in pids and connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_status_tells_that_all_are_well(home: Path) -> None:
    told = cli("status").stdout
    for service in services.listening(settings()):
        assert re.search(rf"{service.title} +│ {service.url} +│ well ", told)


def test_a_second_up_changes_nothing(home: Path) -> None:
    before = (home / "supervisord.pid").read_text()
    services.up(lambda: None, print)
    assert (home / "supervisord.pid").read_text() == before


def test_a_taken_port_is_one_sentence(home: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "LANGAUDIO_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "langaudio.cli", "up"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"Port {settings().airflow_port}, which Airflow wants, is taken" in done.stderr


@pytest.mark.usefixtures("first_run")
def test_what_was_there_before_down_is_there_after_up(home: Path) -> None:
    before = _kept()
    services.down(print)
    with pytest.raises(LangaudioError, match="does not answer"):
        default_store().get("anything")
    (home / DEATH_NOTE).write_text("s3 ended by itself, long ago.")
    services.up(lambda: None, print)
    assert _kept() == before
    assert services.death_note(home) is None


def _kept() -> dict[str, Any]:
    """Return what a restart must not change."""
    return {
        "objects": {item.key for item in default_store().list("")},
        "champion": registry.aliased(registry.CHAMPION),
        "run": AirflowApi().run("language_audio", first_run_id()),
    }


def test_when_a_service_dies_the_others_stop_and_its_log_is_told(home: Path) -> None:
    root = psutil.Process(int((home / "supervisord.pid").read_text()))
    victim = next(one for one in root.children() if "rclone" in one.name())
    victim.send_signal(signal.SIGKILL)
    root.wait(60)
    assert not services.running(home)
    note = services.death_note(home)
    assert note
    assert note.startswith("s3 ended by itself.")
    assert note in cli("status").stdout
    for service in services.listening(settings()):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(service.url.rsplit(":", 1)[1]))) != 0
