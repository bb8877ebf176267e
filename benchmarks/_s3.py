"""An S3 server for a measurement, and what is asked of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langaudio.services.config import S3_SERVER_OPTIONS
from langaudio.settings import settings
from langaudio.store import default_store
from langaudio.store.client import client

BIN = Path(sys.executable).parent
S3_KEYS = ("bench-access", "bench-secret")


@contextmanager
def bucket(folder: Path) -> Iterator[int]:
    """Serve S3 from a folder, and point the settings at it; give the server's process id."""
    (folder / "s3").mkdir()
    address = f"127.0.0.1:{_free_port()}"
    for name in [name for name in os.environ if name.startswith("LANGAUDIO_")]:
        del os.environ[name]
    os.environ |= {
        "LANGAUDIO_HOME": str(folder),
        "LANGAUDIO_S3_ENDPOINT": f"http://{address}",
        "LANGAUDIO_S3_ACCESS_KEY": S3_KEYS[0],
        "LANGAUDIO_S3_SECRET_KEY": S3_KEYS[1],
        "LANGAUDIO_SPEAKER_KEY": "a key for measurements",
    }
    command = [str(BIN / "rclone"), "serve", "s3", str(folder / "s3"), "--addr", address, *S3_SERVER_OPTIONS]
    keys = {"RCLONE_AUTH_KEY": f'"{",".join(S3_KEYS)}"'}
    with subprocess.Popen(command, env=os.environ | keys, stderr=subprocess.DEVNULL) as process:
        time.sleep(2)
        forget()
        default_store().create_bucket()
        try:
            yield process.pid
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def forget() -> None:
    settings.cache_clear()
    default_store.cache_clear()


def count_requests() -> dict[str, Counter[str]]:
    """Count, from now on, what this process asks of S3: ``requests`` by kind, ``bytes`` sent and received."""
    counted: dict[str, Counter[str]] = {"requests": Counter(), "bytes": Counter()}

    def sent(request: Any, **_: Any) -> None:
        counted["bytes"]["sent"] += int(request.headers.get("Content-Length") or 0)

    def answered(http_response: Any, model: Any, **_: Any) -> None:
        counted["requests"][model.name] += 1
        if model.name != "HeadObject":
            counted["bytes"]["received"] += int(http_response.headers.get("Content-Length") or 0)

    client().meta.events.register("before-send.s3", sent)
    client().meta.events.register("after-call.s3", answered)
    return counted
