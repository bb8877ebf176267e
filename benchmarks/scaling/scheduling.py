"""Airflow's own time for mapped languages: a run of so many tasks that do nothing.

Two deployments of this project, both with all their services on this machine: the embedded one (SQLite,
LocalExecutor, ``make up``), and docker-compose.yaml's (PostgreSQL, Redis, CeleryExecutor) as the plain
processes of tests/deploy/topology.py.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _s3 import forget

from langaudio import services
from langaudio.demo.site import build_synthetic
from langaudio.services.airflow_api import FINAL, AirflowApi
from langaudio.services.config import PROJECT
from langaudio.services.env_file import filled, read
from langaudio.settings import settings
from tests.conftest import free_port
from tests.deploy.topology import Topology, until

DAG = "trivial"
_BUNDLE = {
    "name": "scaling",
    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
    "kwargs": {"path": str(Path(__file__).with_name("dags"))},
}
_ONLY_OURS = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([_BUNDLE])}
LOCAL, CELERY = (14, 107, 1_000), (14, 107)
PATIENCE_S = 1_800
WORKERS = 2
_PORTS = ("AIRFLOW", "S3", "MLFLOW", "DEMO")


def measure() -> dict[str, Any]:
    """Time runs of each size under each executor."""
    measured = {}
    with tempfile.TemporaryDirectory(prefix="la-") as folder, _embedded(Path(folder)) as airflow:
        measured["LocalExecutor"] = _sizes(airflow, LOCAL)
    with tempfile.TemporaryDirectory(prefix="la-") as folder, _celery(Path(folder)) as airflow:
        measured["CeleryExecutor"] = _sizes(airflow, CELERY)
    return measured


def _sizes(airflow: AirflowApi, sizes: Sequence[int]) -> dict[str, Any]:
    airflow.wait_for_dag(DAG)
    _run(airflow, 1)  # by then everything is warm
    return {str(size): _run(airflow, size) for size in sizes}


def _run(airflow: AirflowApi, languages: int) -> dict[str, float]:
    print(f"{languages} languages", flush=True)
    begin = time.perf_counter()
    run_id = airflow.trigger(DAG, {"languages": languages})
    until(lambda: airflow.run(DAG, run_id)["state"] in FINAL, f"{languages} languages", PATIENCE_S)
    seconds = time.perf_counter() - begin
    assert airflow.run(DAG, run_id)["state"] == "success"
    return {"seconds": round(seconds, 1), "seconds_per_task": round(seconds / (languages + 1), 3)}


@contextmanager
def _embedded(home: Path) -> Iterator[AirflowApi]:
    """The services of ``make up``, on free ports."""
    _forget_environment()
    os.environ |= _ONLY_OURS | {"LANGAUDIO_HOME": str(home)}
    os.environ |= {f"LANGAUDIO_{name}_PORT": str(free_port()) for name in _PORTS}
    forget()
    try:
        services.up(lambda: build_synthetic(settings().home / "site", ["fr"], 3, 3), print)
        yield AirflowApi()
    finally:
        services.down(print)


@contextmanager
def _celery(root: Path) -> Iterator[AirflowApi]:
    """The services of docker-compose.yaml, with workers of a core each."""
    _forget_environment()
    variables = read(filled((PROJECT / ".env.example").read_text())) | {
        "COMPOSE_PROFILES": "s3,train-cpu",
        "AIRFLOW_API_WORKERS": "1",
        "MLFLOW_WORKERS": "1",
        "WORKER_CPU_CORES": "1",
    }
    with Topology(root, variables, _ONLY_OURS) as topology:
        topology.start_all(WORKERS)
        url = f"http://{topology.address('airflow-api')}:8080"
        yield AirflowApi(url, variables["AIRFLOW_ADMIN_PASSWORD"])


def _forget_environment() -> None:
    for name in [name for name in os.environ if name.startswith("LANGAUDIO_")]:
        del os.environ[name]
