"""Nights with nothing new, of 6, 14 and 107 languages, in a real Airflow; and the parsing of the DAG files.

There is no peer to stand beside: the same tasks without Airflow's own work would be the stages alone, and how
long those took is in the tasks' own reports. So Airflow's share is what is left of the run.

Every language has five known clips at a local replica of audio-lingua, which is asked without delay: three
requests a language, as every night. A real site is asked once a second, which adds three seconds a language.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from crawling.source import SECTIONS

from langaudio import audio, catalog, languages, registry, services
from langaudio.augment.stage import augment, seeded_id
from langaudio.demo.site import build_synthetic
from langaudio.services.airflow_api import AirflowApi
from langaudio.settings import settings
from langaudio.store import default_store, keys

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
PARTS = PROJECT / "benchmarks" / "crawling"

NIGHTS = (6, 14, 107)
CLIPS = 5
"""Clips of a language; its list has them on one page."""
PARSES = 5
DAG = "nightly_recrawl"
FORM = {"source": "replica", "copies": 0, "balance_minutes": 0, "min_change_percent": 1}

_PARSE = """
import sys, time
from airflow.dag_processing.dagbag import BundleDagBag
begin = time.perf_counter()
bag = BundleDagBag(dag_folder=sys.argv[1], bundle_path=sys.argv[2], bundle_name="bench", safe_mode=False)
assert len(bag.dags) == 1, bag.import_errors
print(time.perf_counter() - begin)
"""


def main() -> None:
    parsed = {file.name: _parse_s(file) for file in sorted((PROJECT / "dags").glob("*.py")) if _is_dag(file)}
    codes = sorted(languages.LANGUAGES)[: max(NIGHTS)]
    with _replica(len(languages.LANGUAGES)) as url, _deployment(url):
        _fill(url, codes)
        nights = {str(number): _night(codes[:number]) for number in NIGHTS}
    result = {
        "headline": {
            "night_nothing_new_s": nights[str(NIGHTS[0])]["run_s"],
            "dag_parse_max_s": max(parsed.values()),
        },
        "nights": nights,
        "parse_s": parsed,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "dags.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "dags.md").write_text(_table(result))


def _is_dag(file: Path) -> bool:
    return file.name not in (file.parent / ".airflowignore").read_text().split()


def _parse_s(file: Path) -> float:
    """Return the median time of parsing a file, each time in a process that has imported Airflow only."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-c", _PARSE, str(file), str(file.parent)]
        times = [
            float(
                subprocess.run(
                    command,
                    env=os.environ | {"AIRFLOW_HOME": home, "LANGAUDIO_HOME": home},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    check=True,
                ).stdout.splitlines()[-1]
            )
            for _ in range(PARSES)
        ]
    return round(statistics.median(times), 3)


@contextmanager
def _replica(lists: int) -> Iterator[str]:
    clips = json.dumps({str(number): CLIPS for number in range(1, lists + 1)})
    command = [sys.executable, str(PARTS / "replica.py"), clips]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def _deployment(replica: str) -> Iterator[None]:
    """Run the local services in a temporary home."""
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder:
        for name in [name for name in os.environ if name.startswith("LANGAUDIO_")]:
            del os.environ[name]
        ports = {f"LANGAUDIO_{name}_PORT": str(_free_port()) for name in ("AIRFLOW", "S3", "MLFLOW", "DEMO")}
        os.environ |= ports | {
            "LANGAUDIO_HOME": folder,
            "LANGAUDIO_SOURCES": '["crawling.source.REPLICA"]',
            "REPLICA_URL": replica,
            "PYTHONPATH": str(PARTS.parent),
        }
        settings.cache_clear()
        default_store.cache_clear()
        try:
            services.up(lambda: build_synthetic(Path(folder) / "site", ["fr"], speakers=1, clips=1), print)
            yield
        finally:
            services.down(print)


def _fill(url: str, codes: list[str]) -> None:
    """Make the corpus, and for each night's languages a version of the model that was trained on it."""
    store, generator = default_store(), np.random.default_rng(0)
    learned: dict[str, list[str]] = {}
    for code in codes:
        rows = []
        for number in range(1, CLIPS + 1):
            article = 1_000_000 * int(SECTIONS[code]) + number
            data = audio.to_flac(generator.normal(0, 0.1, 32_000).astype(np.float32), audio.SAMPLE_RATE)
            rows.append(_row(code, url, article, data))
            store.put(keys.raw(code, rows[-1]["clip_id"], "flac"), data)
        catalog.write_part(store, code, "first", rows)
        augment(store, code, run="first", copies=0, balance_minutes=0)
        learned[code] = [row["clip_id"] for row in rows]
    for number in NIGHTS:
        clips = [clip for code in codes[:number] for clip in learned[code]]
        trained = {"languages": " ".join(codes[:number]), "recipe_id": seeded_id("default", 0)}
        run_id = registry.start_run(f"{number} languages", trained)
        registry.log_file(run_id, registry.CLIPS, json.dumps(clips).encode())
        registry.register(run_id)


def _row(code: str, url: str, article: int, data: bytes) -> dict[str, Any]:
    now, clip_id = datetime.now(UTC), f"{article:020x}"
    return {
        "clip_id": clip_id, "language": code, "source": "replica", "title": f"Recording {article}",
        "source_url": f"{url}IMG/mp3/{article}.mp3", "page_url": f"{url}spip.php?article{article}",
        "speaker_id": f"{article % 97:020x}", "speaker_sex": "male", "speaker_age": "adult",
        "cefr_level": "B1", "licence": "https://creativecommons.org/licenses/by-nc-sa/3.0/",
        "permission": None, "duration_s": 2.0, "sample_rate": audio.SAMPLE_RATE, "channels": 1,
        "bitrate": 128000, "speech_s": 2.0, "speech_regions": [0, 32_000], "sha256": f"{article:064x}",
        "bytes": len(data), "split": "train", "first_seen": now, "last_seen": now, "gone": False,
        "format": "flac",
    }  # fmt: skip


def _night(codes: list[str]) -> dict[str, Any]:
    """Run a night of these languages; the version that knows just these is champion."""
    version = registry.versions()[NIGHTS.index(len(codes))]
    registry.set_alias(registry.CHAMPION, version)
    airflow = AirflowApi()
    airflow.wait_for_dag(DAG)
    run_id = airflow.trigger(DAG, FORM | {"languages": codes})
    for _ in airflow.follow(DAG, run_id):
        pass
    run, instances = airflow.run(DAG, run_id), airflow.task_instances(DAG, run_id)
    reports = {one["id"]: airflow.xcom(one) for one in instances if one["state"] == "success"}
    (outcome,) = [reports[one["id"]] for one in instances if one["task_id"] == "report"]
    assert (run["state"], outcome["headline"]) == ("success", "Nothing new."), outcome
    worked = [one["seconds"] for one in reports.values() if isinstance(one, dict) and "seconds" in one]
    tasks_s = sum(one["duration"] or 0 for one in instances)
    return {
        "tasks": len(instances),
        "run_s": round(run["duration"], 1),
        "tasks_s": round(tasks_s, 1),
        "stages_s": round(sum(worked), 1),
        "airflow_share": round(1 - sum(worked) / tasks_s, 2),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _table(result: dict[str, Any]) -> str:
    lines = [
        "# The DAGs",
        "",
        "A night with nothing new, on the local services with four tasks at a time:",
        "",
        "| languages | tasks | the run (s) | in all tasks (s) | of that in stages (s) | Airflow's share |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {number} | {night['tasks']} | {night['run_s']} | {night['tasks_s']} | {night['stages_s']} "
        f"| {night['airflow_share']:.0%} |"
        for number, night in result["nights"].items()
    ]
    lines += ["", "Parsing a DAG file:", "", "| file | seconds |", "|---|---:|"]
    lines += [f"| `{name}` | {seconds} |" for name, seconds in result["parse_s"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
