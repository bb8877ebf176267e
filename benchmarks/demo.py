"""`make demo` from a fresh clone, with synthetic voices and with recordings: time, memory, scores.

There is no peer to stand beside: this measures the promise of the README. The clone, its virtual environment
and its services live in a temporary folder, on free ports; the package cache is the user's own.

    make bench-demo                          recordings from ../shared/speech
    SPEECH=/other/folder make bench-demo     recordings from elsewhere
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"


def main() -> None:
    speech = Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech")).resolve()
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder:
        clone = Path(folder) / "langaudio"
        subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
        synthetic = _demo(clone)
        recordings = _demo(clone, f"CORPUS={speech}") if speech.is_dir() else None
    result = {
        "headline": {
            "demo_s": synthetic["wall_s"],
            "dag_run_s": synthetic["dag_run_s"],
            "macro_f1": synthetic["macro_f1"],
            "macro_f1_real_speech": recordings and recordings["macro_f1"],
            "peak_rss_mib": max(one["peak_rss_mib"] for one in (synthetic, recordings) if one),
        },
        "synthetic": synthetic,
        "recordings": recordings,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "demo.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "demo.md").write_text(_table(result))


def _demo(clone: Path, *variables: str) -> dict[str, Any]:
    """Run `make demo` and `make down` in a clone; return ``demo.json`` with the wall time of all."""
    ports = {f"LANGAUDIO_{name}_PORT": str(_free_port()) for name in ("AIRFLOW", "S3", "MLFLOW", "DEMO")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANGAUDIO_")}
    begin = time.monotonic()
    try:
        subprocess.run(["make", "demo", *variables], cwd=clone, env=environment | ports, check=True)
        wall_s = time.monotonic() - begin
    finally:
        subprocess.run(["make", "down", *variables], cwd=clone, env=environment | ports, check=True)
    newest = max((clone / ".langaudio").rglob("demo.json"), key=lambda file: file.stat().st_mtime)
    result: dict[str, Any] = json.loads(newest.read_text())
    return result | {"wall_s": round(wall_s, 1)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _table(result: dict[str, Any]) -> str:
    runs = {"synthetic voices": result["synthetic"], "recordings": result["recordings"]}
    present = {name: run for name, run in runs.items() if run}
    lines = [
        "# `make demo`",
        "",
        "| | " + " | ".join(present) + " |",
        "|---|" + "---:|" * len(present),
    ]
    rows = {
        "everything, set-up included (s)": "wall_s",
        "the DAG run (s)": "dag_run_s",
        "macro-F1 on test speakers": "macro_f1",
        "accuracy on test speakers": "accuracy",
        "largest process (MiB)": "peak_rss_mib",
    }
    for title, key in rows.items():
        lines.append(f"| {title} | " + " | ".join(_number(key, run[key]) for run in present.values()) + " |")
    for stage in result["synthetic"]["stages"]:
        for title, key in (("seconds in all tasks", "seconds"), ("peak MiB of a task", "peak_rss_mib")):
            numbers = " | ".join(_number(key, run["stages"][stage][key]) for run in present.values())
            lines.append(f"| {stage}: {title} | {numbers} |")
    lines += ["", "The second run finds the virtual environment made; the first makes it from a warm cache."]
    return "\n".join(lines) + "\n"


def _number(key: str, value: float) -> str:
    return f"{value:.3f}" if key in ("macro_f1", "accuracy") else f"{value:,.0f}"


if __name__ == "__main__":
    main()
