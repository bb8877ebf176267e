"""The local services: S3, MLflow, the demo site and Airflow, on 127.0.0.1, run by supervisord.

All their state lies under ``LANGAUDIO_HOME``.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from langaudio.errors import LangaudioError
from langaudio.services import config
from langaudio.services.watch import DEATH_NOTE
from langaudio.settings import Settings, settings
from langaudio.store import default_store

_START_TIMEOUT_S = 180


@dataclass(frozen=True)
class Service:
    """A service that listens: its name for people, its address, and where it says that it is well."""

    title: str
    port_setting: str
    url: str
    health: str


def listening(wanted: Settings) -> list[Service]:
    """Return the services that have a port."""

    def service(title: str, port_setting: str, port: int, health: str) -> Service:
        url = f"http://127.0.0.1:{port}"
        return Service(title, port_setting, url, url + health)

    return [
        service("Airflow", "LANGAUDIO_AIRFLOW_PORT", wanted.airflow_port, "/api/v2/monitor/health"),
        service("MLflow", "LANGAUDIO_MLFLOW_PORT", wanted.mlflow_port, "/health"),
        service("S3", "LANGAUDIO_S3_PORT", wanted.s3_port, "/"),
        service("Demo site", "LANGAUDIO_DEMO_PORT", wanted.demo_port, "/robots.txt"),
    ]


def up(prepare: Callable[[], None], tell: Callable[[str], None]) -> None:
    """Start all services that are not running, and wait until each says that it is well.

    Args:
        prepare: called once settings are written and before the services start.
        tell: called with a line about each step.

    Raises:
        LangaudioError: a port is taken, or a service ended.
    """
    home = settings().home
    if running(home):
        tell("The services are running.")
        return
    _check_ports()
    for folder in ("s3", "logs"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    environment = config.process_environment(config.write_environment(settings()))
    settings.cache_clear()
    default_store.cache_clear()
    prepare()
    tell("Preparing Airflow's database …")
    _airflow(environment, "db", "migrate")
    tell("Starting the services …")
    (home / DEATH_NOTE).unlink(missing_ok=True)
    with (home / "logs" / "supervisord.out").open("w") as output:
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "supervisor.supervisord",
                "-c",
                config.write_supervisor_config(settings()).name,
            ],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _wait_until_well(home)
    default_store().create_bucket()
    _airflow(environment, "pools", "import", str(config.write_pools(settings())))


def down(tell: Callable[[str], None]) -> None:
    """Stop all services and wait until they are gone."""
    home = settings().home
    if not running(home):
        tell("No services are running.")
        return
    _supervisor(home).shutdown()
    while (home / "supervisord.pid").exists():
        time.sleep(0.2)
    tell("The services are stopped; their data stays.")


def running(home: Path) -> bool:
    try:
        return bool(_supervisor(home).getState()["statecode"] == 1)
    except (OSError, Fault):
        return False


def states(home: Path) -> dict[str, str]:
    """Return what supervisord says of each service: ``RUNNING``, ``STOPPED`` or ``EXITED``."""
    return {
        process["name"]: process["statename"]
        for process in _supervisor(home).getAllProcessInfo()
        if process["name"] != "watch"
    }


def death_note(home: Path) -> str | None:
    """Return which service ended by itself, with the last lines of its log, or None."""
    note = home / DEATH_NOTE
    return note.read_text() if note.exists() else None


def _supervisor(home: Path) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{_short(home / 'supervisor.sock')}")
    return ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _short(path: Path) -> str:
    # A Unix socket's path may have 107 bytes; the relative one is mostly shorter.
    absolute = path.resolve()
    relative = absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
    return str(min((absolute, relative), key=lambda candidate: len(str(candidate))))


def _check_ports() -> None:
    for service in listening(settings()):
        port = int(service.url.rsplit(":", 1)[1])
        with socket.socket() as probe:
            # As servers do: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise LangaudioError(
                    f"Port {port}, which {service.title} wants, is taken: stop what listens there, or set "
                    f"{service.port_setting} to a free port."
                ) from None


def _wait_until_well(home: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    waiting = listening(settings())
    started = False
    while waiting:
        started = started or running(home)
        if death_note(home) or (started and not running(home)):
            raise LangaudioError(
                f"A service ended, so all are stopped. {death_note(home) or ''}\nAll logs: {home / 'logs'}"
            )
        if time.monotonic() > deadline:
            names = ", ".join(service.title for service in waiting)
            raise LangaudioError(f"{names} did not start in {_START_TIMEOUT_S} s; see {home / 'logs'}.")
        waiting = [service for service in waiting if not _well(service)]
        time.sleep(0.3)


def _well(service: Service) -> bool:
    try:
        with urllib.request.urlopen(service.health, timeout=5):  # noqa: S310 - our own loopback address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # an S3 server that asks for keys is well
    except OSError:
        return False


def _airflow(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LangaudioError(f"`airflow {' '.join(arguments)}` failed:\n{done.stdout[-2000:]}")
