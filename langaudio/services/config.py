"""What the local services are: their environment with its secrets, and supervisord's configuration."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from langaudio.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
_BIN = Path(sys.executable).parent

# Objects are whole, so nothing is cached between them and the disk. Who writes or reads compares MD5s
# (langaudio.store): the server need not hash everything once more to compare them with itself.
S3_SERVER_OPTIONS = (
    *("--config", os.devnull, "--vfs-cache-mode", "off"),
    *("--ignore-checksum", "--no-checksum"),
)


def write_environment(settings: Settings) -> dict[str, str]:
    """Write ``<home>/settings.env`` and return its variables.

    Addresses follow the settings; secrets are made once and kept.
    """
    file = settings.home / "settings.env"
    before = _read_environment(file)
    airflow_home = settings.home.resolve() / "airflow"
    airflow_url = f"http://127.0.0.1:{settings.airflow_port}"
    access_key = before.get("LANGAUDIO_S3_ACCESS_KEY") or secrets.token_hex(10)
    secret_key = before.get("LANGAUDIO_S3_SECRET_KEY") or secrets.token_hex(20)

    def kept(name: str) -> str:
        return before.get(name) or secrets.token_hex(32)

    environment = {
        "LANGAUDIO_HOME": str(settings.home.resolve()),
        "LANGAUDIO_BUCKET": settings.bucket,
        "LANGAUDIO_S3_ENDPOINT": f"http://127.0.0.1:{settings.s3_port}",
        "LANGAUDIO_S3_ACCESS_KEY": access_key,
        "LANGAUDIO_S3_SECRET_KEY": secret_key,
        "LANGAUDIO_SPEAKER_KEY": kept("LANGAUDIO_SPEAKER_KEY"),
        "LANGAUDIO_MLFLOW_URI": f"http://127.0.0.1:{settings.mlflow_port}",
        "LANGAUDIO_DEMO_URL": f"http://127.0.0.1:{settings.demo_port}",
        "LANGAUDIO_AIRFLOW_PORT": str(settings.airflow_port),
        "LANGAUDIO_S3_PORT": str(settings.s3_port),
        "LANGAUDIO_MLFLOW_PORT": str(settings.mlflow_port),
        "LANGAUDIO_DEMO_PORT": str(settings.demo_port),
        # MLflow's server reaches the bucket through these.
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{settings.s3_port}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(settings.parallelism),
        # Languages × parts of a large one, at most.
        "AIRFLOW__CORE__MAX_MAP_LENGTH": "16384",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "true",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow_url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(airflow_home / "passwords.json"),
        "AIRFLOW__CORE__FERNET_KEY": before.get("AIRFLOW__CORE__FERNET_KEY")
        or base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API__BASE_URL": airflow_url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": kept("AIRFLOW__API__SECRET_KEY"),
        "AIRFLOW__API_AUTH__JWT_SECRET": kept("AIRFLOW__API_AUTH__JWT_SECRET"),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        # A task whose end a worker of Airflow 3.3.2 misses by a hair is noticed at its next heartbeat.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "false",
    }
    _write_private(file, "".join(f"{name}='{value}'\n" for name, value in environment.items()))
    _write_password(airflow_home / "passwords.json")
    return environment


def password(settings: Settings) -> tuple[Path, str]:
    """Return the file that holds Airflow's login, and the password of user ``admin`` from it."""
    file = settings.home / "airflow" / "passwords.json"
    return file, json.loads(file.read_text())["admin"]


def process_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the services: this process's, with theirs on top."""
    # The venv's programs come first, so that what a service starts is of the same installation.
    path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    rclone_key = f'"{environment["LANGAUDIO_S3_ACCESS_KEY"]},{environment["LANGAUDIO_S3_SECRET_KEY"]}"'
    return {**os.environ, **environment, "PATH": path, "RCLONE_AUTH_KEY": rclone_key}


def commands(settings: Settings) -> dict[str, list[str]]:
    """Return the command of each service, in the order of starting.

    Airflow's parts are services of their own, as ``airflow standalone`` would start them, but without its
    log servers: those listen on every address of the machine, and with one machine nobody needs them.
    """
    home = settings.home.resolve()
    python = str(_BIN / "python")
    airflow = str(_BIN / "airflow")
    return {
        "s3": [
            str(_BIN / "rclone"), "serve", "s3", str(home / "s3"), "--addr", f"127.0.0.1:{settings.s3_port}",
            *S3_SERVER_OPTIONS,
        ],
        "mlflow": [
            str(_BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(settings.mlflow_port),
            "--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}",
            "--artifacts-destination", f"s3://{settings.bucket}/{settings.s3_prefix}models", "--workers", "1",
        ],
        "demo-site": [python, "-m", "langaudio.cli", "demo-site"],
        "airflow-api": [airflow, "api-server"],
        "airflow-dag-processor": [airflow, "dag-processor"],
        "airflow-scheduler": [airflow, "scheduler", "--skip-serve-logs"],
        "airflow-triggerer": [airflow, "triggerer", "--skip-serve-logs"],
    }  # fmt: skip


def write_supervisor_config(settings: Settings) -> Path:
    """Write ``<home>/supervisord.conf`` and return its path. It holds no secrets."""
    sections = [_SUPERVISOR]
    for name, command in commands(settings).items():
        sections.append(_PROGRAM.format(name=name, command=" ".join(_quoted(word) for word in command)))
    # What one group holds stops together, and what Airflow's tasks need stops after Airflow.
    sections.append(_GROUP.format(name="data", members="s3,mlflow,demo-site", priority=1))
    airflow = ",".join(name for name in commands(settings) if name.startswith("airflow-"))
    sections.append(_GROUP.format(name="airflow", members=airflow, priority=2))
    sections.append(_WATCH.format(python=_quoted(str(_BIN / "python"))))
    file = settings.home / "supervisord.conf"
    file.write_text("\n".join(sections))
    return file


def write_pools(settings: Settings, *, cpu: int | None = None, augment: int = 1) -> Path:
    """Write Airflow's pools as ``airflow pools import`` wants them, and return the file.

    Args:
        settings: whose home the file goes to.
        cpu: uploads at a time; as many as this machine has cores if None.
        augment: augmentations at a time. One takes all cores of its machine.
    """
    pools = {
        "crawl": (1, "Crawls: one host is asked by one task at a time."),
        "cpu": (cpu or len(os.sched_getaffinity(0)), "Uploads: a task a core."),
        "augment": (augment, "Augmentation: a task takes all cores of its machine."),
        "train": (1, "Training and scoring."),
    }
    file = settings.home / "pools.json"
    described = {
        name: {"slots": slots, "description": text, "include_deferred": False}
        for name, (slots, text) in pools.items()
    }
    file.write_text(json.dumps(described, indent=1))
    return file


# Paths are relative to the home, in which supervisord is started: a socket's path has to be short.
_SUPERVISOR = """\
[supervisord]
nodaemon=true
logfile=logs/supervisord.log
pidfile=supervisord.pid
[unix_http_server]
file=supervisor.sock
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
_PROGRAM = """\
[program:{name}]
command={command}
autorestart=false
startsecs=0
stopasgroup=true
killasgroup=true
stopwaitsecs=20
redirect_stderr=true
stdout_logfile=logs/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""
_GROUP = """\
[group:{name}]
programs={members}
priority={priority}
"""
_WATCH = """\
[eventlistener:watch]
command={python} -m langaudio.services.watch
events=PROCESS_STATE_EXITED,PROCESS_STATE_FATAL
stderr_logfile=logs/watch.log
"""


def _quoted(word: str) -> str:
    # supervisord splits a command as a shell does, and expands %(…)s.
    return '"' + word.replace("%", "%%").replace('"', '\\"') + '"'


def _write_password(file: Path) -> None:
    """Choose Airflow's password ourselves: one that Airflow makes is printed to its log."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_private(file, json.dumps({"admin": secrets.token_urlsafe(12)}) + "\n")


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)


def _read_environment(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    lines = (line.partition("=") for line in file.read_text().splitlines())
    return {name: value.strip("'") for name, _, value in lines}
