"""The local services in a home of their own, and beside them a replica of audio-lingua of many languages."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nights.source import SECTIONS

from langaudio import services
from langaudio.demo.site import build_synthetic
from langaudio.settings import settings
from langaudio.store import default_store

_BENCHMARKS = Path(__file__).resolve().parents[1]


@contextmanager
def deployment(clips: int) -> Iterator[str]:
    """Run the services as `make up` does, on free ports; give the replica's address.

    Args:
        clips: how many the replica has of each language.
    """
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, _replica(clips) as url:
        for name in [name for name in os.environ if name.startswith("LANGAUDIO_")]:
            del os.environ[name]
        ports = {f"LANGAUDIO_{name}_PORT": str(_free_port()) for name in ("AIRFLOW", "S3", "MLFLOW", "DEMO")}
        os.environ |= ports | {
            "LANGAUDIO_HOME": folder,
            "LANGAUDIO_SOURCES": '["nights.source.REPLICA"]',
            "LANGAUDIO_NIGHT_SCHEDULE": "",
            "REPLICA_URL": url,
            "PYTHONPATH": str(_BENCHMARKS),
        }
        settings.cache_clear()
        default_store.cache_clear()
        try:
            # The demo site is one of the services; nobody asks it here.
            services.up(lambda: build_synthetic(Path(folder) / "site", ["fr"], speakers=1, clips=1), print)
            yield url
        finally:
            services.down(print)


@contextmanager
def _replica(clips: int) -> Iterator[str]:
    lists = json.dumps(dict.fromkeys(SECTIONS.values(), clips))
    command = [sys.executable, str(_BENCHMARKS / "crawling" / "replica.py"), lists]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
