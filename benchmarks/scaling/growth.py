"""Every stage on 1, 10 and 100 times the demo's corpus, and the bytes that the chain moves."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from _s3 import bucket, forget
from scaling import corpus, stage

from langaudio import catalog
from langaudio.demo import sentences
from langaudio.store import default_store
from tests.conftest import free_port
from tests.deploy.topology import until

TIMES = (1, 10, 100)
LANGUAGES = sorted(sentences.LANGUAGES)
CONCURRENCY = 8
COSTS = ("seconds", "cpu_s", "peak_rss_mib", "requests")


def measure() -> dict[str, Any]:
    """Run the chain on each size; fit how each stage grows, and compare what is moved with the least."""
    with tempfile.TemporaryDirectory(prefix="langaudio-") as demo:
        sizes = {str(times): _chain(times, Path(demo)) for times in TIMES}
    return {
        "clip_s": corpus.CLIP_S,
        "languages": len(LANGUAGES),
        "copies": stage.COPIES,
        "epochs": stage.EPOCHS,
        "sizes": sizes,
        "exponents": {name: {what: _exponent(sizes, name, what) for what in COSTS} for name in stage.STAGES},
        "moved": _moved(sizes[str(TIMES[-1])]),
    }


def _chain(times: int, demo: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, bucket(Path(folder)):
        os.environ["LANGAUDIO_MLFLOW_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.environ["LANGAUDIO_LOOPBACK_CONCURRENCY"] = str(CONCURRENCY)
        offered = corpus.build(Path(folder) / "site", demo, times)
        measured: dict[str, Any] = {}
        with _site(Path(folder)):
            measured["crawl"] = _stage("crawl", "scale")
        for name in stage.STAGES[1:]:
            run = measured["train"]["run_id"] if name == "evaluate" else "scale"
            measured[name] = _stage(name, run)
        return _corpus() | {"offered": offered, "stages": measured}


def _stage(name: str, run: str) -> dict[str, Any]:
    print(name, flush=True)
    command = [sys.executable, "-W", "ignore", "-m", "scaling.stage", name, run, *LANGUAGES]
    found = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=os.environ | found, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _corpus() -> dict[str, Any]:
    """Tell how large the corpus is, and how large its parts in the bucket are."""
    rows = [
        row
        for code in LANGUAGES
        for row in catalog.read(default_store(), code, ["bytes", "split", "speech_s"]).to_pylist()
    ]
    shards = [item.size for item in default_store().list("augmented/") if item.key.endswith(".tar")]
    return {
        "clips": len(rows),
        "speech_h": round(sum(row["speech_s"] for row in rows) / 3600, 2),
        "raw_bytes": sum(row["bytes"] for row in rows),
        "training_bytes": sum(row["bytes"] for row in rows if row["split"] == "train"),
        "shard_bytes": sum(shards),
    }


@contextmanager
def _site(home: Path) -> Iterator[None]:
    """Serve the site from another process, whose time is not the crawl's."""
    port = free_port()
    os.environ |= {"LANGAUDIO_DEMO_URL": f"http://127.0.0.1:{port}", "LANGAUDIO_DEMO_PORT": str(port)}
    forget()
    command = [sys.executable, "-m", "langaudio.cli", "demo-site"]
    with subprocess.Popen(command, env=os.environ | {"LANGAUDIO_HOME": str(home)}) as process:
        try:
            until(lambda: _listens(port), "the site answers")
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _exponent(sizes: dict[str, Any], name: str, what: str) -> float:
    """Return k of cost = c · clips^k through the two largest sizes, where starting counts least."""
    some, many = (sizes[str(times)] for times in TIMES[-2:])
    ratio = many["stages"][name][what] / some["stages"][name][what]
    return round(math.log(ratio) / math.log(many["clips"] / some["clips"]), 3)


def _moved(size: dict[str, Any]) -> dict[str, Any]:
    """Compare the bytes that go to and from the bucket with the least that a chain of stages can do with.

    Stages share no disk, so a recording goes up once, and comes down once for its checks and once to be used:
    those of training speakers to be augmented, the others to be scored. It gets from staging to its place
    within the server. A shard goes up once, and comes down once to a machine that trains.
    """
    least = 3 * size["raw_bytes"] + 2 * size["shard_bytes"]
    by_stage = {name: measured["bytes"] for name, measured in size["stages"].items()}
    return {
        "least_bytes_per_clip": round(least / size["clips"]),
        "bytes_per_clip": round(sum(by_stage.values()) / size["clips"]),
        "by_stage_per_clip": {name: round(moved / size["clips"]) for name, moved in by_stage.items()},
        "ratio": round(sum(by_stage.values()) / least, 3),
    }
