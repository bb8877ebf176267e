"""Airflow's public REST API, as far as the demo and the tests want it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx

from langaudio.errors import LangaudioError, Unavailable
from langaudio.services import config
from langaudio.settings import settings

FINAL = ("success", "failed")

_PAUSES_S = (0.1, 0.3, 1.0, 3.0)
"""Before each other try, of what SQLite could not do because somebody else wrote: nothing of it was done."""


class AirflowApi:
    """A logged-in client of an Airflow.

    Args:
        url: address of its API; the local services' if empty.
        password: of its user ``admin``; of the local services if empty.
    """

    def __init__(self, url: str = "", password: str = "") -> None:
        self.url = url or f"http://127.0.0.1:{settings().airflow_port}"
        # No proxy of the environment stands between us and our own loopback address.
        self._http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        password = password or config.password(settings())[1]
        answer = self._call("POST", "/auth/token", json={"username": "admin", "password": password})
        self._http.headers["Authorization"] = f"Bearer {answer['access_token']}"

    @property
    def login(self) -> dict[str, str]:
        """The header by which whoever asks is logged in."""
        return {"Authorization": self._http.headers["Authorization"]}

    def wait_for_dag(self, dag_id: str, timeout_s: float = 120) -> None:
        """Wait until Airflow has parsed a DAG, and let it run."""
        deadline = time.monotonic() + timeout_s
        while self._http.get(f"/api/v2/dags/{dag_id}").status_code != 200:
            errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
            if errors:
                raise LangaudioError(f"Airflow cannot import the DAGs: {errors[0]['stack_trace']}")
            if time.monotonic() > deadline:
                raise Unavailable(f"Airflow has not parsed the DAG {dag_id} after {timeout_s:.0f} s.")
            time.sleep(0.5)
        self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run; return its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def runs(self, dag_id: str) -> list[str]:
        """Return the ids of the runs of a DAG."""
        found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"limit": 100})
        return [one["dag_run_id"] for one in found["dag_runs"]]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        instances: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, params={"limit": 100, "offset": len(instances)})
            instances += page["task_instances"]
            if not page["task_instances"] or len(instances) >= page["total_entries"]:
                return instances

    def xcom(self, instance: dict[str, Any]) -> Any:
        """Return what a task instance returned, or None if it returned nothing."""
        path = f"{_instance_path(instance)}/xcomEntries/return_value"
        answer = self._http.get(path, params={"map_index": instance["map_index"], "deserialize": True})
        return answer.json()["value"] if answer.status_code == 200 else None

    def log_lines(self, instance: dict[str, Any]) -> list[str]:
        """Return the messages of a task instance's present try."""
        path = f"{_instance_path(instance)}/logs/{max(1, instance['try_number'])}"
        answer = self._http.get(
            path, params={"map_index": instance["map_index"]}, headers={"Accept": "application/json"}
        )
        if answer.status_code != 200:
            return []
        return [str(entry.get("event", entry)) for entry in answer.json()["content"]]

    def follow(self, dag_id: str, run_id: str, poll_s: float = 1.0) -> Iterator[list[dict[str, Any]]]:
        """Yield, at every look, the task instances whose state changed, until the run has ended."""
        told: dict[str, str] = {}
        while True:
            # Asked before the instances, so that the last changes are told, too.
            ended = self.run(dag_id, run_id)["state"] in FINAL
            instances = sorted(self.task_instances(dag_id, run_id), key=lambda one: str(one["start_date"]))
            changed = [one for one in instances if told.get(one["id"]) != (one["state"] or "none")]
            told |= {one["id"]: one["state"] or "none" for one in changed}
            yield changed
            if ended:
                return
            time.sleep(poll_s)

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self._asked(method, path, **options)
        for pause_s in _PAUSES_S:
            if not (answer.status_code == 500 and "Database error" in answer.text):
                break
            time.sleep(pause_s)
            answer = self._asked(method, path, **options)
        if answer.status_code >= 500:
            raise Unavailable(f"Airflow answers {answer.status_code} to {method} {path}: {answer.text[:500]}")
        if answer.status_code >= 400:
            raise LangaudioError(f"Airflow refuses {method} {path}: {answer.text[:500]}")
        result: dict[str, Any] = answer.json()
        return result

    def _asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"Airflow at {self.url} does not answer ({error}): is it running?") from error


def _instance_path(instance: dict[str, Any]) -> str:
    return (
        f"/api/v2/dags/{instance['dag_id']}/dagRuns/{instance['dag_run_id']}"
        f"/taskInstances/{instance['task_id']}"
    )
