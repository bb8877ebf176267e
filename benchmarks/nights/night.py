"""A night in a real Airflow, and where its time goes: Airflow's share of it, and that of langaudio.

Airflow notes when it schedules, queues, starts and ends a task, and a task's log when its function is called
and when it is left. What lies between these two is langaudio's: imports of its modules, requests, work.
Everything else is Airflow's: that a task waits, that its process starts and parses the DAG file, that its
result is stored.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from nights.source import REPLICA

from langaudio.services.airflow_api import FINAL, AirflowApi
from langaudio.settings import settings

DAG = "nightly_recrawl"
FORM = {"source": REPLICA.name, "copies": 0, "balance_minutes": 0, "min_change_percent": 1}
PHASES = ("in_line_s", "queued_s", "starting_s", "work_s", "ending_s")
"""Of a task: for a slot or a core; for a worker; until its function is called; the function; the rest."""

_CALLED, _LEFT = "::endgroup::", "::group::Post Execute"
"""How Airflow marks these moments in a task's log: the first is the end of what comes before the call."""


def night(codes: Sequence[str]) -> dict[str, Any]:
    """Run a night of these languages, of which there is nothing new; tell how long what took."""
    airflow = AirflowApi()
    airflow.wait_for_dag(DAG)
    begin = time.monotonic()
    run_id = airflow.trigger(DAG, FORM | {"languages": list(codes)})
    while airflow.run(DAG, run_id)["state"] not in FINAL:
        time.sleep(0.5)
    seconds = time.monotonic() - begin
    run, instances = airflow.run(DAG, run_id), airflow.task_instances(DAG, run_id)
    (reported,) = [airflow.xcom(one) or {} for one in instances if one["task_id"] == "report"]
    assert (run["state"], reported.get("headline")) == ("success", "Nothing new."), (run_id, reported)
    # What is skipped was never queued.
    tasks = [_phases(one) for one in instances if one["queued_when"]]
    worked = [(one["called"], one["left"]) for one in tasks]
    return {
        "tasks": len(tasks),
        "trigger_to_end_s": round(seconds, 1),
        "run_s": round(run["duration"], 1),
        "nobody_worked_s": round(run["duration"] - _covered(worked), 1),
        "tasks_s": round(sum(one["left"] - one["start"] + one["ending_s"] for one in tasks), 1),
        "work_s": round(sum(one["work_s"] for one in tasks), 1),
        "kinds": {kind: _median(tasks, kind) for kind in dict.fromkeys(one["kind"] for one in tasks)},
    }


def _phases(instance: dict[str, Any]) -> dict[str, Any]:
    moments = ("scheduled_when", "queued_when", "start_date", "end_date")
    scheduled, queued, start, end = (_seconds(instance[name]) for name in moments)
    called, left = _moments(_log(instance))
    between = (queued - scheduled, start - queued, called - start, left - called, end - left)
    return {
        "kind": instance["task_id"].removeprefix("language."),
        "start": start,
        "called": called,
        "left": left,
        **dict(zip(PHASES, between, strict=True)),
    }


def _log(instance: dict[str, Any]) -> Path:
    folders = [f"dag_id={instance['dag_id']}", f"run_id={instance['dag_run_id']}"]
    folders += [f"task_id={instance['task_id']}"]
    if instance["map_index"] >= 0:
        folders += [f"map_index={instance['map_index']}"]
    return settings().home.joinpath("airflow", "logs", *folders, f"attempt={instance['try_number']}.log")


def _moments(log: Path) -> tuple[float, float]:
    """Return when a task's function was called, and when it was left."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]

    def first(event: str) -> float:
        return next(_seconds(line["timestamp"]) for line in lines if line["event"] == event)

    return first(_CALLED), first(_LEFT)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long at least one of the spans lasted."""
    covered, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered


def _median(tasks: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    chosen = [one for one in tasks if one["kind"] == kind]
    medians = {phase: round(statistics.median(one[phase] for one in chosen), 2) for phase in PHASES}
    return {"tasks": len(chosen), **medians}
