"""Write ``.env``, which docker-compose.yaml is started with: ``.env.example``, its secrets filled in.

``make env`` runs this file by itself: who deploys by Docker has nothing of langaudio installed, so it needs
nothing but Python.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def _key() -> str:
    # Hexadecimal digits stand for themselves in URLs, JSON and shells.
    return secrets.token_hex(24)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


SECRETS: dict[str, Callable[[], str]] = {
    "LANGAUDIO_S3_ACCESS_KEY": lambda: secrets.token_hex(10),
    "LANGAUDIO_S3_SECRET_KEY": _key,
    "LANGAUDIO_SPEAKER_KEY": _key,
    "AIRFLOW_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
    "POSTGRES_PASSWORD": _key,
    "AIRFLOW_DB_PASSWORD": _key,
    "CELERY_DB_PASSWORD": _key,
    "MLFLOW_DB_PASSWORD": _key,
    "REDIS_PASSWORD": _key,
    "AIRFLOW_FERNET_KEY": _fernet_key,
    "AIRFLOW_JWT_SECRET": _key,
    "AIRFLOW_API_SECRET": _key,
}
"""How each secret of ``.env.example`` is made."""


def filled(example: str, present: str = "") -> str:
    """Return the text of ``.env``.

    Args:
        example: the text of ``.env.example``.
        present: the text of an ``.env`` that is there: what it sets stays, also what the example lacks.
    """
    kept = read(present)
    lines = []
    for line in example.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            # Also an empty value: with AWS the keys may come from elsewhere.
            if name in kept:
                value = kept.pop(name)
            elif name in SECRETS:
                value = SECRETS[name]()
            line = f"{name}={value}"
        lines.append(line)
    if kept:
        lines += ["", "# Not in .env.example", *(f"{name}={value}" for name, value in kept.items())]
    return "\n".join(lines) + "\n"


def read(text: str) -> dict[str, str]:
    """Return the variables of an ``.env``."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, equals, value in pairs if equals}


def write(file: Path) -> None:
    """Write a file that its owner alone may read; what it has stays."""
    present = file.read_text() if file.exists() else ""
    text = filled((PROJECT / ".env.example").read_text(), present)
    scratch = file.with_name(f"{file.name}.new")
    # With its mode from the beginning: nobody else may read it for a moment.
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    scratch.replace(file)


if __name__ == "__main__":
    target = PROJECT / ".env"
    write(target)
    sys.stdout.write(f"{target} is written: its secrets are yours alone; read it before you start.\n")
