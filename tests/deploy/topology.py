"""The services of docker-compose.yaml as plain processes of this machine.

Commands, environments and health checks are those of the file. What a container engine would do is done
otherwise:

- A service's name leads to an address of its own in 127.0.0.0/8, drawn by chance, so that several topologies
  do not meet; "all addresses" and ``localhost`` of a service are this address.
- A volume is a folder below ``root``, and a service without volumes has a working directory of its own.
- A service is a process group, in a UTS namespace of its own, with a host name of its own.
- Airflow's log servers stay out: they listen on every address. The demo site has a free port of 127.0.0.1.
- What PostgreSQL's image does before it starts is done by hand: ``initdb``, and the change of user.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.conftest import free_port
from tests.deploy import compose
from tests.deploy.compose import PROJECT

BIN = Path(sys.executable).parent
POSTGRES_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))


class Topology:
    """The deployment; ``with`` kills whatever of it runs at the end.

    Args:
        root: folder of all that it writes.
        variables: those of ``.env``.
        changed: variables of the environment that all services have, in place of the file's.
    """

    def __init__(
        self, root: Path, variables: Mapping[str, str], changed: Mapping[str, str] | None = None
    ) -> None:
        self.root, self.variables, self._changed = root, variables, dict(changed or {})
        self.services = compose.services(variables)
        self.demo_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        block = f"127.{random.randint(16, 250)}.{random.randint(0, 250)}"
        self._addresses = {name: f"{block}.{number}" for number, name in enumerate(self.services, start=2)}

    def __enter__(self) -> Topology:
        # Everybody may pass through: PostgreSQL runs as a user of its own, below this folder.
        for folder in (self.root, *self.root.parents):
            if folder.stat().st_uid == os.getuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o011)
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.kill(name)

    @property
    def running(self) -> list[str]:
        """The names of what was started and not stopped."""
        return list(self._processes)

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the processes of a service, the first one before its descendants."""
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._processes[name].pid)
            return [first, *first.children(recursive=True)]
        return []

    def address(self, service: str) -> str:
        return self._addresses[service]

    def folder(self, service: str, replica: str = "") -> Path:
        """Return the working directory of a service, which is that of its volume if it has one."""
        name = next(iter(self.services[service].volumes.values()), f"{service}{replica}")
        return self.root / name

    def log(self, name: str) -> str:
        return (self.root / "logs" / f"{name}.log").read_text(errors="replace")

    def environment(self, service: str, replica: str = "") -> dict[str, str]:
        """Return the environment that a service has here."""
        of_file = self.services[service].environment | self._changed
        environment = {name: self._here(service, value, replica) for name, value in of_file.items()}
        path = f"{BIN}{os.pathsep}{POSTGRES_BIN}{os.pathsep}{os.environ['PATH']}"
        home = str(self.folder(service, replica))
        if "PGHOST" in environment:
            environment["PGHOST"] = self.address(environment["PGHOST"])
        image = {
            "PATH": path,
            "HOME": home,
            "LANG": "C.UTF-8",
            "LANGAUDIO_HOME": home,
            "LANGAUDIO_DEMO_PORT": str(self.demo_port),
            "AIRFLOW_HOME": f"{home}/airflow",
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        }
        return image | environment

    def start(self, service: str, replica: str = "") -> None:
        """Start a service; ``replica`` tells apart several of one kind."""
        name, folder = f"{service}{replica}", self.folder(service, replica)
        folder.mkdir(parents=True, exist_ok=True)
        if service == "postgres":
            self._make_cluster(folder)
        command = [self._here(service, word, replica) for word in self.services[service].command]
        self._processes[name] = self._spawn(name, self._adapted(service, command, folder), service, replica)

    def run(self, service: str) -> None:
        """Run a service to its end, which has to be a good one."""
        self.start(service)
        status = self._processes.pop(service).wait()
        assert status == 0, self.log(service)

    def stop(self, name: str, patience_s: float = 20) -> None:
        """End a service as an engine does: SIGTERM, then SIGKILL for all that is left of it."""
        process, family = self._processes[name], self.processes(name)
        with suppress(subprocess.TimeoutExpired):
            # PostgreSQL waits for its clients, if it is not told to be fast.
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
            process.wait(patience_s)
        self._end(name, family)

    def kill(self, name: str) -> None:
        """End a service and all its processes at once, as a machine that fails does."""
        self._end(name, self.processes(name))

    def _end(self, name: str, family: list[psutil.Process]) -> None:
        for one in family:
            # Stopped first: what is killed one by one would start new ones, and tell others of it.
            with suppress(psutil.NoSuchProcess):
                one.suspend()
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self._processes.pop(name).wait()

    def well(self, service: str, replica: str = "") -> bool:
        """Tell whether a service's own health check says that it is well."""
        command = [self._here(service, word, replica) for word in self.services[service].health]
        command = _as_host(f"{service}{replica}", command)
        environment = self.environment(service, replica)
        done = subprocess.run(
            command, env=environment, cwd=self.root, capture_output=True, text=True, check=False
        )
        return done.returncode == 0

    def wait_until_well(self, service: str, replica: str = "", timeout_s: float = 240) -> None:
        name = f"{service}{replica}"

        def well() -> bool:
            assert self._processes[name].poll() is None, f"{name} ended:\n{self.log(name)[-3000:]}"
            return self.well(service, replica)

        # Each question is a process, and takes time from what it asks about.
        until(well, f"{name} is well", timeout_s, every_s=1)

    def listening(self) -> set[str]:
        """Return the addresses that processes of the topology listen on."""
        found = set()
        for name in self._processes:
            for process in self.processes(name):
                with suppress(psutil.NoSuchProcess):  # it has ended since
                    found |= {
                        connection.laddr.ip
                        for connection in process.net_connections("tcp")
                        if connection.status == psutil.CONN_LISTEN
                    }
        return found

    def tend(self) -> list[str]:
        """Start again what has ended by itself, as an engine does; return the names of these."""
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in ended:
            service = name if name in self.services else name.rpartition("-")[0]
            assert self.services[service].whole["restart"] == "unless-stopped"
            self.start(service, name.removeprefix(service))
        return ended

    def pause(self, name: str) -> None:
        """Let a service hang: it keeps its connections, and answers nothing."""
        os.killpg(self._processes[name].pid, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        os.killpg(self._processes[name].pid, signal.SIGCONT)

    def start_all(self, cpu_workers: int = 2) -> None:
        """Start everything, in the order of ``depends_on``, and wait until all are well."""
        replicas = {"worker-cpu": [f"-{number}" for number in range(1, cpu_workers + 1)]}
        waiting: list[tuple[str, str]] = []
        for name, service in self.services.items():
            for one in [one for one in waiting if one[0] in service.needs]:
                self.wait_until_well(*one)
                waiting.remove(one)
            if not service.health:
                self.run(name)
                continue
            for replica in replicas.get(name, [""]):
                if f"{name}{replica}" not in self._processes:
                    self.start(name, replica)
                    waiting.append((name, replica))
        for one in waiting:
            self.wait_until_well(*one)

    def _here(self, service: str, text: str, replica: str) -> str:
        """Put addresses and folders of this machine in the place of a container's."""
        for name, address in self._addresses.items():
            text = re.sub(rf"(?:(?<=//)|(?<=[@,])|^){name}(?=:[0-9]{{2,5}}(?![0-9a-z@])|/)", address, text)
        own = self._addresses[service]
        text = text.replace("0.0.0.0", own).replace("//localhost:", f"//{own}:")
        text = own if text == "localhost" else text
        for inside, volume in self.services[service].volumes.items():
            text = text.replace(inside, str(self.root / volume))
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.demo_port}")
        return text.replace("/var/lib/langaudio", str(self.folder(service, replica)))

    def _adapted(self, service: str, command: list[str], folder: Path) -> list[str]:
        """Do what the image's entry point would."""
        if service == "postgres":
            where = ["-D", str(folder), "-h", self.address(service), "-k", str(folder)]
            return [*_as_user("postgres"), str(POSTGRES_BIN / "postgres"), *command[1:], *where]
        serves_logs = {"celery", "scheduler", "triggerer"} & set(command[1:2])
        return [*command, "--skip-serve-logs"] if command[0] == "airflow" and serves_logs else command

    def _make_cluster(self, folder: Path) -> None:
        if (folder / "PG_VERSION").exists():
            return
        user = _as_user("postgres")
        if user:
            shutil.chown(folder, "postgres")
        folder.chmod(0o700)
        password = self.root / "postgres-password"
        password.write_text(self.services["postgres"].environment["POSTGRES_PASSWORD"])
        password.chmod(0o644)
        command = [
            *user, str(POSTGRES_BIN / "initdb"), "-D", str(folder), "-U", "postgres", "--auth=scram-sha-256",
            f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, cwd="/")
        password.unlink()

    def _spawn(self, name: str, command: list[str], service: str, replica: str) -> subprocess.Popen[bytes]:
        logs = self.root / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                _as_host(name, command),
                env=self.environment(service, replica),
                cwd=self.folder(service, replica),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def until(holds: Callable[[], object], what: str, timeout_s: float = 240, every_s: float = 0.25) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(every_s)


def _as_host(name: str, command: list[str]) -> list[str]:
    """Run a command under a host name, as in a container of its own."""
    # Who is not root may have a namespace of hosts in a namespace of users.
    user = [] if os.getuid() == 0 else ["--map-current-user", "--keep-caps"]
    return ["unshare", *user, "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name, *command]


def _as_user(name: str) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"] if os.getuid() == 0 else []
