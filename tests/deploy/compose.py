"""docker-compose.yaml as Docker Compose itself reads it: checked and resolved, without an engine."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "docker-compose.yaml"


class ComposeError(Exception):
    """Docker Compose does not take the file."""


@dataclass(frozen=True)
class Service:
    """A service, with everything that starting it as a plain process takes."""

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str]
    """Its health check's command; empty if it has none."""
    volumes: dict[str, str]
    """Folder of the container → name of the volume."""
    needs: set[str]
    """The services that have to be well, or to have ended well, before it starts."""
    whole: dict[str, Any]


def services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services of the profiles that COMPOSE_PROFILES names, each after what it needs.

    Raises:
        ComposeError: the file is not what the Compose specification allows, or a variable is missing.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".env") as env_file:
        env_file.writelines(f"{name}={value}\n" for name, value in variables.items())
        env_file.flush()
        command = [str(files("compose") / "docker-compose"), "--file", str(FILE), "--env-file", env_file.name]
        done = subprocess.run(
            [*command, "config", "--format", "json"],
            env={},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ComposeError(done.stderr)
    # It writes a dollar as the file does, doubled.
    whole = json.loads(done.stdout.replace("$$", "$"))["services"]
    return _ordered({name: _service(name, one) for name, one in whole.items()})


def _service(name: str, whole: dict[str, Any]) -> Service:
    return Service(
        name,
        whole["command"],
        whole["environment"],
        whole["healthcheck"].get("test", ["CMD"])[1:],
        {volume["target"]: volume["source"] for volume in whole.get("volumes", [])},
        set(whole.get("depends_on", {})),
        whole,
    )


def _ordered(services: dict[str, Service]) -> dict[str, Service]:
    ordered: dict[str, Service] = {}
    while len(ordered) < len(services):
        for name, service in services.items():
            if name not in ordered and service.needs & set(services) <= set(ordered):
                ordered[name] = service
    return ordered
