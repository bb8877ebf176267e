"""The local services: S3, MLflow, the demo site and Airflow, on 127.0.0.1, run by supervisord.

All their state lies under ``LANGAUDIO_HOME``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.states import SupervisorStates
from supervisor.xmlrpc import SupervisorTransport

from langaudio.errors import LangaudioError
from langaudio.services import config
from langaudio.services.watch import DEATH_NOTE
from langaudio.settings import Settings, settings
from langaudio.store import default_store

_START_TIMEOUT_S = 600  # for a machine that is busy: one that ends is noticed at once
_RUNNING = 1  # the state of a supervisord that is not ending
_LONGEST_SOCKET = 107  # bytes of a Unix socket's path, on Linux


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
        LangaudioError: the home's path is too long, a port is taken, or a service ended.
    """
    home = settings().home
    if running(home):
        # Whoever started them may have been stopped before they were well.
        _wait_until_well(home)
        tell("The services are running.")
        return
    _check_socket(home)
    _wait_until_gone(home)
    _check_ports()
    # The server's buckets are its folders.
    for folder in ("logs", f"s3/{settings().bucket}"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    environment = config.process_environment(config.write_environment(settings()))
    settings.cache_clear()
    default_store.cache_clear()
    prepare()
    tell("Preparing Airflow's database …")
    run_airflow(environment, "db", "migrate")
    run_airflow(environment, "pools", "import", str(config.write_pools(settings())))
    tell("Starting the services …")
    (home / DEATH_NOTE).unlink(missing_ok=True)
    _start(home, environment)
    _wait_until_well(home)


def down(tell: Callable[[str], None]) -> None:
    """Stop all services and wait until they are gone."""
    home = settings().home
    if _state(home) is None:
        tell(f"No services of {home} are running.")
        return
    if running(home):
        _supervisor(home).shutdown()
    _wait_until_gone(home)
    tell("The services are stopped; their data stays.")


def running(home: Path) -> bool:
    return _state(home) == _RUNNING


def ended(home: Path) -> LangaudioError:
    """Return what to raise when a service has ended by itself: which, and its log's last lines."""
    told = death_note(home) or "Nobody noted which."
    return LangaudioError(f"A service ended, so all are stopped. {told.rstrip()}\nAll logs: {home / 'logs'}")


def death_note(home: Path) -> str | None:
    """Return which service ended by itself, with the last lines of its log, or None."""
    note = home / DEATH_NOTE
    return note.read_text() if note.exists() else None


def well(service: Service) -> bool:
    """Tell whether a service answers as it should."""
    try:
        with urllib.request.urlopen(service.health, timeout=5):  # noqa: S310 - our own loopback address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # an S3 server that asks for keys is well
    except OSError:
        return False


def run_airflow(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of Airflow to its end; return what it printed.

    Raises:
        LangaudioError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LangaudioError(f"`airflow {' '.join(arguments[:2])}` failed:\n{done.stdout[-2000:]}")
    return done.stdout


def _state(home: Path) -> int | None:
    """Return supervisord's state; None if there is none."""
    try:
        return int(_supervisor(home).getState()["statecode"])
    except Fault:
        return SupervisorStates.SHUTDOWN  # while it stops the services, it answers nothing else
    except OSError:
        return None


def _supervisor(home: Path) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{_short(home / 'supervisor.sock')}")
    return ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _short(path: Path) -> str:
    # A Unix socket's path may have 107 bytes; the relative one is mostly shorter.
    absolute = path.resolve()
    relative = absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
    return str(min((absolute, relative), key=lambda candidate: len(str(candidate))))


def _check_socket(home: Path) -> None:
    longest = _LONGEST_SOCKET - len("/supervisor.sock.1234567")
    if len(os.fsencode(home.resolve())) > longest:
        raise LangaudioError(
            f"The path of {home.resolve()} is too long for a socket: set LANGAUDIO_HOME to a folder whose "
            f"path has at most {longest} bytes."
        )


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


def _start(home: Path, environment: dict[str, str]) -> None:
    """Start supervisord, and wait until it answers."""
    file = config.write_supervisor_config(settings())
    log = home / "logs" / "supervisord.out"
    with log.open("w") as output:
        supervisord = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", file.name],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while not running(home) and not death_note(home):
        if supervisord.poll() is not None:
            raise LangaudioError(f"supervisord, which runs the services, ended:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _wait_until_well(home: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    waiting = [service for service in listening(settings()) if not well(service)]
    while waiting:
        if death_note(home) or not running(home):
            raise ended(home)
        if time.monotonic() > deadline:
            names = ", ".join(service.title for service in waiting)
            raise LangaudioError(f"{names} did not start in {_START_TIMEOUT_S} s; see {home / 'logs'}.")
        time.sleep(0.3)
        waiting = [service for service in waiting if not well(service)]


def _wait_until_gone(home: Path) -> None:
    while _state(home) is not None:
        time.sleep(0.2)
