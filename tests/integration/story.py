"""What the tests of the story ask Airflow for: runs, their tasks' states, clearing, answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langaudio.services.airflow_api import FINAL, AirflowApi

FORM = {"source": "demo", "copies": 1, "balance_minutes": 0, "epochs": 1}
_PATIENCE_S = 600
_READING_S = 3.0

Instances = list[dict[str, Any]]


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "langaudio.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


def airflow_cli(home: Path, *arguments: str) -> None:
    """Run a command of Airflow as docs/airflow.md says: with the environment of the services."""
    script = f'set -a; . {home}/settings.env; set +a; exec {sys.executable} -m airflow "$@"'
    done = subprocess.run(["bash", "-c", script, "airflow", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true answer of a condition, asked twice a second."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {_PATIENCE_S} s"
        time.sleep(0.5)
    return answer


def ended(airflow: AirflowApi, dag: str, run_id: str) -> tuple[str, Instances]:
    """Wait for the end of a run; return its state and its task instances."""
    state = wait_for(
        lambda: (found := airflow.run(dag, run_id)["state"]) in FINAL and found, f"the end of {run_id}"
    )
    return state, airflow.task_instances(dag, run_id)


def run(airflow: AirflowApi, dag: str, **form: Any) -> tuple[str, Instances]:
    """Trigger a DAG and wait for its end."""
    airflow.wait_for_dag(dag)
    return ended(airflow, dag, airflow.trigger(dag, FORM | form))


def newest_run(airflow: AirflowApi, dag: str, **having: str) -> dict[str, Any] | None:
    runs = airflow._call("GET", f"/api/v2/dags/{dag}/dagRuns", params={"order_by": "-id"} | having)[
        "dag_runs"
    ]
    return runs[0] if runs else None


def states(instances: Instances) -> dict[str, str]:
    """Return task, with its language, → state."""
    return {f"{one['task_id']} {one['rendered_map_index'] or ''}".strip(): one["state"] for one in instances}


def instance(instances: Instances, name: str) -> dict[str, Any]:
    """Return the instance of a task, by its name and its language (``language.crawl fr``)."""
    task, _, language = name.partition(" ")
    return next(
        one
        for one in instances
        if one["task_id"] == task and (not language or one["rendered_map_index"] == language)
    )


def state_of(airflow: AirflowApi, dag: str, run_id: str, task: str) -> str | None:
    state: str | None = instance(airflow.task_instances(dag, run_id), task)["state"]
    return state


def clear(airflow: AirflowApi, dag: str, run_id: str, **which: Any) -> None:
    """Clear tasks of a run that has ended, as the UI's button does."""
    body = {"dry_run": False, "dag_run_id": run_id, **which}
    airflow._call("POST", f"/api/v2/dags/{dag}/clearTaskInstances", json=body)


def answer(airflow: AirflowApi, dag: str, run_id: str, option: str) -> dict[str, Any]:
    """Answer a run's question whenever it is asked, until it is taken; return what was asked.

    Airflow 3.3.2 loses an answer that comes before its scheduler knows that the task waits, and counts the
    try as failed: like a person, this takes some seconds to read.
    """
    path = f"/api/v2/dags/{dag}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    asked: dict[str, Any] = {}
    seen: dict[int, float] = {}

    def is_taken() -> bool:
        approve = instance(airflow.task_instances(dag, run_id), "approve")
        if approve["state"] == "awaiting_input":
            since = seen.setdefault(approve["try_number"], time.monotonic())
            asked.update(airflow._call("GET", path))
            if time.monotonic() - since > _READING_S and not asked["response_received"]:
                airflow._call("PATCH", path, json={"chosen_options": [option]})
        return bool(asked) and approve["state"] in FINAL

    wait_for(is_taken, f"the answer to {run_id}")
    return asked


def log_of(airflow: AirflowApi, instances: Instances, name: str) -> str:
    return "\n".join(airflow.log_lines(instance(instances, name)))
