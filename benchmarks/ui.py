"""The Languages pages: how long each takes on the server, and the memory that they add to it.

The pages are served by uvicorn from a process of their own, of an empty bucket and of one with 107 languages
and 100,000 clips, and each is asked for again and again over loopback. Memory is that of the server after
every page was asked for, beside the same server with an empty FastAPI application; its child processes, which
end when they are idle, are told apart.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from _s3 import BIN, bucket, forget

from langaudio.settings import settings
from langaudio.store import default_store
from tests.pages.corpora import generated, register_evaluated

RESULTS = Path(__file__).resolve().parent / "results"
BUCKETS = {"empty": 0, "large": 100_000}
PAGES = {
    "overview": "overview",
    "overview, by clips": "overview?sort=-clips",
    "language, largest": "language/ab",
    "language, filtered": "language/ab?q=river&split=dev&sort=-duration_s",
    "quarantine": "language/ab/quarantine",
    "crawls": "language/ab/crawls",
    "models": "models",
    "a model": "models/1",
    "identify": "identify",
    "API: languages": "api/languages",
    "API: clips": "api/languages/ab/clips?per_page=100",
}
REQUESTS = 60

SERVE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
if sys.argv[2] == "pages":
    from langaudio.pages.access import Person
    from langaudio.pages.app import create_app
    app.mount("/languages", create_app(lambda: Person("somebody", may_run=True)))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="langaudio-") as folder,
        bucket(Path(folder)),
        mlflow(Path(folder)),
    ):
        fill()
        with served("bare") as (process, _):
            bare = rss_mib(process)
        measured = {name: measure(name) for name in BUCKETS}
    large = measured["large"]
    result = {
        "headline": {
            "overview_p95_ms_100k": large["pages"]["overview"]["p95_ms"],
            "plugin_rss_mib": round(max(one["rss_mib"] for one in measured.values()) - bare),
        },
        "requests": REQUESTS,
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "bare_rss_mib": round(bare),
        **measured,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ui.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "ui.md").write_text(table(result))


def fill() -> None:
    """Make the buckets."""
    for name, clips in BUCKETS.items():
        use(name)
        default_store().create_bucket()
        if clips:
            register_evaluated(generated(default_store(), clips=clips))


def use(name: str) -> None:
    os.environ["LANGAUDIO_BUCKET"] = name
    forget()


def measure(name: str) -> dict[str, Any]:
    """Ask for every page of a bucket."""
    use(name)
    with served("pages") as (process, asking):
        begin = time.perf_counter()
        asked(asking, PAGES["overview"])
        first_s = time.perf_counter() - begin
        pages = {title: timed(asking, path) for title, path in PAGES.items() if exists(asking, path)}
        children = process.children()
        return {
            "first_overview_s": round(first_s, 2),
            "pages": pages,
            "rss_mib": rss_mib(process),
            "children_rss_mib": [round(rss_mib(child)) for child in children],
        }


def exists(asking: httpx.Client, path: str) -> bool:
    return asking.get(path, headers={"Accept": "text/html"}).status_code == 200


def timed(asking: httpx.Client, path: str) -> dict[str, float]:
    took = []
    for _ in range(REQUESTS):
        begin = time.perf_counter()
        asked(asking, path)
        took.append(1000 * (time.perf_counter() - begin))
    took.sort()
    return {
        "median_ms": round(statistics.median(took), 1),
        "p95_ms": round(took[int(0.95 * len(took))], 1),
        "worst_ms": round(took[-1], 1),
    }


def asked(asking: httpx.Client, path: str) -> None:
    asking.get(path, headers={"Accept": "text/html"}).raise_for_status()


@contextmanager
def served(what: str) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """Serve the pages, or nothing, in a process; give it, and a client."""
    port = _free_port()
    with subprocess.Popen([sys.executable, "-c", SERVE, str(port), what]) as process:
        address = f"http://127.0.0.1:{port}/languages/"
        with httpx.Client(base_url=address, timeout=120, trust_env=False) as asking:
            try:
                _wait_for(port)
                asking.get("nothing")
                yield psutil.Process(process.pid), asking
            finally:
                process.terminate()


@contextmanager
def mlflow(folder: Path) -> Iterator[None]:
    """Serve a real MLflow, and point the settings at it."""
    port = _free_port()
    command = [
        str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (folder / "mlflow.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(port)
            os.environ["LANGAUDIO_MLFLOW_URI"] = f"http://127.0.0.1:{port}"
            forget()
            assert settings().mlflow_uri.endswith(str(port))
            yield
        finally:
            process.terminate()


def rss_mib(process: psutil.Process) -> float:
    rss: int = process.memory_info().rss
    return rss / 2**20


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def table(result: dict[str, Any]) -> str:
    empty, large = result["empty"], result["large"]
    lines = [
        "# The Languages pages",
        "",
        f"Milliseconds from request to answer over loopback, {result['requests']} requests of each, on a "
        f"machine of {result['cores']} cores with a load average of {result['load_average']}.",
        "",
        "| Page | empty bucket, median | p95 | 107 languages and 100,000 clips, median | p95 |",
        "|---|---:|---:|---:|---:|",
    ]
    for title in PAGES:
        cells = [
            f"{one['pages'][title][which]}" if title in one["pages"] else "–"
            for one in (empty, large)
            for which in ("median_ms", "p95_ms")
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    children = ", ".join(f"{one} MiB" for one in large["children_rss_mib"])
    lines += [
        "",
        f"The first overview of a server that has just started takes {empty['first_overview_s']} s of the "
        f"empty bucket, and {large['first_overview_s']} s of the large one, whose catalogs are read then.",
        "",
        f"After all of these pages the server has {large['rss_mib']:.0f} MiB; with an empty FastAPI "
        f"application it has {result['bare_rss_mib']} MiB. Its child processes, which end when idle: "
        f"{children or 'none'}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
