"""Nights with nothing new in a real Airflow, of 6, 14 and 107 languages; parsing; memory of the API server.

There is no peer to stand beside: Airflow's share is told apart (``nights/night.py`` says how). The services
are those of `make up`. Every language has known clips at a local replica of audio-lingua, which answers three
requests a language, as every night, and is asked without delay.

    make bench-dags                                    all of it
    PYTHONPATH=. .venv/bin/python benchmarks/dags.py 6 one night; the results keep the others
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psutil
from nights.corpus import fill, learn
from nights.deployment import deployment
from nights.night import PHASES, night

from langaudio.languages import LANGUAGES
from langaudio.services.airflow_api import AirflowApi
from langaudio.settings import settings

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
DAGS = ("language_audio.py", "nightly_recrawl.py", "backfill_languages.py")
SIZES = (6, 14, 107)
AUDIO_LINGUA = "14"
"""How many languages the site has."""
CLIPS = 20
"""Known clips of each language, all of which the check before a training hashes."""
REQUESTS = 3
"""That a night with nothing new makes for a language; benchmarks/crawl.py counts them."""
PARSES = 7
VISITS = 5

PARSE = """
import sys, time
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import Asset, Param, dag, task, task_group
begin = time.perf_counter()
bag = BundleDagBag(dag_folder=sys.argv[1], bundle_path=sys.argv[2], bundle_name="bench", safe_mode=False)
assert len(bag.dags) == 1, bag.import_errors
print(time.perf_counter() - begin)
"""


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or SIZES
    file = RESULTS / "dags.json"
    nights: dict[str, Any] = json.loads(file.read_text())["nights"] if sys.argv[1:] and file.exists() else {}
    parsed = {name: parse_s(PROJECT / "dags" / name) for name in DAGS}
    codes = sorted(LANGUAGES)[: max(sizes)]
    with deployment(CLIPS) as url:
        learned = fill(url, codes, CLIPS)
        for size in sizes:
            learn(learned, codes[:size])
            load = os.getloadavg()[0]
            nights[str(size)] = night(codes[:size]) | {"load_average_before": round(load, 1)}
        memory = plugin_memory(codes[0])
    nights = {str(size): nights[str(size)] for size in SIZES if str(size) in nights}
    result = {
        "headline": {
            "night_nothing_new_s": nights[AUDIO_LINGUA]["run_s"] if AUDIO_LINGUA in nights else None,
            "dag_parse_max_s": max(parsed.values()),
            "night_nothing_new_s_by_languages": {size: one["run_s"] for size, one in nights.items()},
        },
        "cores": len(os.sched_getaffinity(0)),
        "clips_of_a_language": CLIPS,
        "nights": nights,
        "parse_s": parsed,
        "api_server": memory,
    }
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    file.with_suffix(".md").write_text(table(result))


def parse_s(file: Path) -> float:
    """Return the median time of parsing a file, each time in a process that has imported Airflow only."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"AIRFLOW_HOME": home, "LANGAUDIO_HOME": home}
        command = [sys.executable, "-c", PARSE, str(file), str(file.parent)]
        times = [
            subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
            for _ in range(PARSES + 1)
        ]
    # The first makes Airflow's configuration, and compiles.
    return round(statistics.median(float(told.split()[-1]) for told in times[1:]), 3)


def plugin_memory(code: str) -> dict[str, Any]:
    """Visit Airflow's own pages, then all of the plugin's, and weigh the API server in between."""
    server = _listening(settings().airflow_port)
    airflow = AirflowApi()
    http = httpx.Client(
        base_url=airflow.url, headers=airflow.login, timeout=120, trust_env=False, follow_redirects=True
    )
    own = ["", "dags", "api/v2/dags", "api/v2/version", "api/v2/monitor/health"]
    _visit(http, own)
    before = _rss_mib(server)
    clips = http.get(f"languages/api/languages/{code}/clips").raise_for_status().json()["clips"]
    _visit(http, [f"languages/{path}" for path in _pages(code, clips[0]["clip_id"])])
    return {
        "before_mib": round(before),
        "after_mib": round(_rss_mib(server)),
        "children_mib": [round(_rss_mib(child)) for child in server.children(recursive=True)],
    }


def _pages(code: str, clip_id: str) -> list[str]:
    clip = f"api/languages/{code}/clips/{clip_id}"
    return [
        *("overview", "overview?sort=-clips", "run?languages=fr", "models", "models/1", "identify"),
        *(f"language/{code}", f"language/{code}/quarantine", f"language/{code}/crawls"),
        *(f"language/{code}/clip/{clip_id}", f"augmentation?language={code}&clip={clip_id}"),
        *("api/languages", f"api/languages/{code}/clips", f"api/languages/{code}/crawls", clip),
        *("api/models", "api/openapi.json", "api/docs"),
        *(f"{clip}/audio", f"{clip}/picture.png"),
        *(f"{clip}/augmentation", f"{clip}/augmentation/1.flac", f"{clip}/augmentation/1.png"),
    ]


def _visit(http: httpx.Client, paths: list[str]) -> None:
    for _ in range(VISITS):
        for path in paths:
            http.get(path, headers={"Accept": "text/html"}).raise_for_status()


def _listening(port: int) -> psutil.Process:
    (pid,) = {
        one.pid
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid
    }
    return psutil.Process(pid)


def _rss_mib(process: psutil.Process) -> float:
    rss: int = process.memory_info().rss
    return rss / 2**20


def table(result: dict[str, Any]) -> str:
    return "\n".join([*_nights(result), *_parsing(result), *_memory(result)]) + "\n"


def _nights(result: dict[str, Any]) -> list[str]:
    lines = [
        "# The DAGs",
        "",
        "## A night with nothing new",
        "",
        f"`nightly_recrawl` in the Airflow of `make up` (SQLite, LocalExecutor, four tasks at a time) on "
        f"{result['cores']} cores. Each language has {result['clips_of_a_language']} known clips at a local "
        f"replica of audio-lingua that is asked {REQUESTS} times, without delay.",
        "",
        "| languages | tasks | from trigger to end (s) | the run (s) | of it, no task was at work (s) | at a "
        "second a request it would be about (s) | in all tasks (s) | of that langaudio's (s) | Airflow's "
        "share | load before |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {size} | {one['tasks']} | {one['trigger_to_end_s']} | {one['run_s']} | {one['nobody_worked_s']} "
        f"| {one['run_s'] + REQUESTS * int(size):.0f} | {one['tasks_s']} | {one['work_s']} "
        f"| {1 - one['work_s'] / one['tasks_s']:.0%} | {one['load_average_before']} |"
        for size, one in result["nights"].items()
    ]
    lines += [
        "",
        "langaudio's is the time between the call of a task's function and its return: imports of our "
        "modules, requests to site, bucket and MLflow, work. The rest of a task's time is Airflow's: its "
        "process starts and parses the DAG file, its result is stored.",
    ]
    for size, one in result["nights"].items():
        lines += [
            "",
            f"Seconds in a task, of {size} languages; medians:",
            "",
            "| task | tasks | in line for a slot | queued | until its function is called | its function "
            "| until its end |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {kind} | {told['tasks']} | {' | '.join(str(told[phase]) for phase in PHASES)} |"
            for kind, told in one["kinds"].items()
        ]
    return lines


def _parsing(result: dict[str, Any]) -> list[str]:
    return [
        "",
        "## Parsing a DAG file",
        "",
        f"Median of {PARSES} processes that have imported Airflow and nothing of ours:",
        "",
        "| file | seconds |",
        "|---|---:|",
        *(f"| `{name}` | {seconds} |" for name, seconds in result["parse_s"].items()),
    ]


def _memory(result: dict[str, Any]) -> list[str]:
    told = result["api_server"]
    children = ", ".join(f"{one} MiB" for one in told["children_mib"])
    return [
        "",
        "## Memory of Airflow's API server",
        "",
        f"{told['before_mib']} MiB before anybody asked for a page of the plugin, {told['after_mib']} MiB "
        f"after all of them were asked for {VISITS} times: {told['after_mib'] - told['before_mib']} MiB "
        f"more. Its child processes, which end when they are idle: {children or 'none'}. "
        "([Beside an empty server](ui.md).)",
    ]


if __name__ == "__main__":
    main()
