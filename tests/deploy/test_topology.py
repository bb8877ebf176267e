"""docker-compose.yaml at work: its services as plain processes, and ``language_audio`` on them.

While it runs, the worker that crawls is killed in the middle of a crawl.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from langaudio import catalog, identify, registry
from langaudio.augment.shards import read_index
from langaudio.demo import contents
from langaudio.doctor import diagnose
from langaudio.services.airflow_api import AirflowApi
from langaudio.store import default_store, keys, store_of_bucket
from tests.conftest import SPEAKER_KEY, served, settings_of
from tests.deploy.topology import Topology, until

LANGUAGES = ["en", "fr"]
FORM = {"languages": LANGUAGES, "source": "demo", "copies": 1, "balance_minutes": 0, "epochs": 1}
SMALL = {
    "COMPOSE_PROFILES": "s3,train-cpu,demo",
    "AIRFLOW_API_WORKERS": "1",
    "MLFLOW_WORKERS": "1",
    "WORKER_CPU_CORES": "1",
    "AIRFLOW_HEARTBEAT_TIMEOUT_S": "30",
    # `make env` draws one like this now and then; it is not to be taken for an option.
    "AIRFLOW_ADMIN_PASSWORD": "-p begins with a dash",
    # The site's speakers are cast for it.
    "LANGAUDIO_SPEAKER_KEY": SPEAKER_KEY,
}


DIVIDED = {"LANGAUDIO_PART_HOURS": "0.001", "LANGAUDIO_MAX_PARTS": "2"}
"""Every language is large enough for two tasks."""


@pytest.fixture(scope="module")
def metrics() -> Iterator[tuple[str, list[bytes]]]:
    """A collector of OpenTelemetry: its address, and what it was sent."""
    sent: list[bytes] = []

    async def collect(request: Request) -> Response:
        sent.append(await request.body())
        return Response(media_type="application/x-protobuf")

    with served(Starlette(routes=[Route("/v1/metrics", collect, methods=["POST"])])) as url:
        yield url, sent


@pytest.fixture(scope="module")
def topology(
    tmp_path_factory: pytest.TempPathFactory,
    variables: dict[str, str],
    small_site_folder: Path,
    metrics: tuple[str, list[bytes]],
) -> Iterator[Topology]:
    # The lines that docs/operations.md has for deploy/settings.env.
    watched = {"AIRFLOW__METRICS__OTEL_ON": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": metrics[0]}
    root = tmp_path_factory.mktemp("topology")
    changed = DIVIDED | watched | {"OTEL_METRIC_EXPORT_INTERVAL": "5000"}
    with Topology(root, variables | SMALL, changed) as topology:
        shutil.copytree(small_site_folder, topology.folder("demo-site") / "site")
        topology.start_all()
        yield topology


@pytest.fixture(scope="module")
def configured(topology: Topology) -> Iterator[Topology]:
    """The settings of a person who works with this deployment."""
    of_worker = topology.environment("worker-cpu")
    endpoint, home = of_worker["LANGAUDIO_S3_ENDPOINT"], topology.root / "person"
    names = ("S3_ACCESS_KEY", "S3_SECRET_KEY", "SPEAKER_KEY", "MLFLOW_URI")
    more = {name: of_worker[f"LANGAUDIO_{name}"] for name in names}
    with settings_of(endpoint, home, of_worker["LANGAUDIO_BUCKET"], **more):
        yield topology


@pytest.fixture(scope="module")
def airflow(topology: Topology) -> AirflowApi:
    url = f"http://{topology.address('airflow-api')}:8080"
    return AirflowApi(url, topology.variables["AIRFLOW_ADMIN_PASSWORD"])


@pytest.fixture(scope="module")
def after_a_kill(topology: Topology, airflow: AirflowApi) -> tuple[str, list[dict[str, Any]]]:
    """The state and the tasks of a run whose first crawl lost its worker."""
    airflow.wait_for_dag("language_audio")
    # A site that hangs keeps the crawl where it is.
    topology.pause("demo-site")
    run_id = airflow.trigger("language_audio", FORM)

    def crawls() -> bool:
        instances = airflow.task_instances("language_audio", run_id)
        return any(one["task_id"] == "language.crawl" and one["state"] == "running" for one in instances)

    until(crawls, "a crawl runs")
    topology.kill("worker-crawl")
    topology.go_on("demo-site")
    topology.start("worker-crawl")
    for _ in airflow.follow("language_audio", run_id):
        pass
    return airflow.run("language_audio", run_id)["state"], airflow.task_instances("language_audio", run_id)


def test_the_run_ends_well_although_its_worker_was_killed(
    after_a_kill: tuple[str, list[dict[str, Any]]],
) -> None:
    state, instances = after_a_kill
    assert state == "success"
    assert not {one["state"] for one in instances} & {"failed", "upstream_failed"}
    tries = sorted(one["try_number"] for one in instances if one["task_id"] == "language.crawl")
    assert tries == [1, 2]


def test_every_task_runs_where_its_queue_is(after_a_kill: tuple[str, list[dict[str, Any]]]) -> None:
    hosts: dict[str, set[str]] = {}
    for one in after_a_kill[1]:
        hosts.setdefault(one["task_id"], set()).add(re.sub(r"-\d+$", "", one["hostname"]))
    expected = {
        "plan": {"worker-cpu"},
        "language.crawl": {"worker-crawl"},
        "language.upload": {"worker-cpu"},
        "language.augment": {"worker-cpu"},
        "augment_part": {"worker-cpu"},
        "check": {"worker-cpu"},
        "train": {"worker-train"},
        "evaluate": {"worker-train"},
        "promote": {"worker-train"},
    }
    assert {task: hosts.get(task) for task in expected} == expected


@pytest.mark.usefixtures("configured")
def test_a_large_language_is_augmented_by_several_tasks(
    airflow: AirflowApi, after_a_kill: tuple[str, list[dict[str, Any]]]
) -> None:
    augmented = [one for one in after_a_kill[1] if one["task_id"] in ("language.augment", "augment_part")]
    parts = sorted(one["rendered_map_index"] for one in augmented)
    assert parts == sorted(f"{code} {part}" for code in LANGUAGES for part in ("1/2", "2/2"))
    reports = [airflow.xcom(one) for one in augmented]
    for code in LANGUAGES:
        rows = catalog.read(default_store(), code, ["clip_id", "split"]).to_pylist()
        index = read_index(default_store(), reports[0]["recipe_id"], code)
        training = {row["clip_id"] for row in rows if row["split"] == "train"}
        # A clip that turned out to be of two languages may have been augmented by then.
        assert training <= set(index["clip_id"].to_pylist())
        written = [report["written"] for report in reports if report["language"] == code]
        assert sum(written) == index.num_rows


@pytest.fixture(scope="module")
def cleared(airflow: AirflowApi, after_a_kill: tuple[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The tasks of the run after one part was marked as failed, and `report` was done again; and then the
    parts."""
    run_id = after_a_kill[1][0]["dag_run_id"]
    path = f"/api/v2/dags/language_audio/dagRuns/{run_id}/taskInstances/augment_part/0"
    airflow._call("PATCH", path, json={"new_state": "failed"})
    for task in ("report", "augment_part"):
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "task_ids": [task]}
        airflow._call("POST", "/api/v2/dags/language_audio/clearTaskInstances", json=body)
        for _ in airflow.follow("language_audio", run_id):
            pass
    return airflow.task_instances("language_audio", run_id)


def test_a_part_that_failed_is_told_as_its_language(
    airflow: AirflowApi, cleared: list[dict[str, Any]]
) -> None:
    report = next(one for one in cleared if one["task_id"] == "report")
    log = "\n".join(airflow.log_lines(report))
    assert "1 of 2 languages failed: en." in log
    assert "en: augment 2/2 failed: it was ended before it could say why" in log


def test_a_part_that_is_cleared_repeats_nothing(airflow: AirflowApi, cleared: list[dict[str, Any]]) -> None:
    parts = [one for one in cleared if one["task_id"] == "augment_part"]
    assert [(one["state"], one["try_number"]) for one in parts] == [("success", 2)] * 2
    assert [airflow.xcom(one)["written"] for one in parts] == [0, 0]


@pytest.mark.usefixtures("configured", "after_a_kill")
def test_no_clip_is_lost_or_doubled(small_site_folder: Path) -> None:
    store = default_store()
    assert diagnose(store, deep=True).findings == []
    entries = [entry for entry in contents.read(small_site_folder) if entry.mp3 and entry.defect is None]
    for language in LANGUAGES:
        files = [
            small_site_folder / contents.MP3_FOLDER / one.mp3 for one in entries if one.language == language
        ]
        offered = sorted(hashlib.sha256(file.read_bytes()).hexdigest()[:20] for file in files)
        assert sorted(catalog.read(store, language, ["clip_id"])["clip_id"].to_pylist()) == offered


@pytest.mark.usefixtures("configured", "after_a_kill")
def test_the_champion_answers_from_anywhere() -> None:
    champion = registry.aliased(registry.CHAMPION)
    assert champion
    assert champion.number == 1
    row = catalog.read(default_store(), "fr", ["clip_id", "format"]).slice(0, 1).to_pylist()[0]
    answer = identify(default_store().get(keys.raw("fr", row["clip_id"], row["format"])))
    assert set(answer.probabilities) == set(LANGUAGES)


@pytest.mark.usefixtures("configured")
def test_the_logs_of_tasks_outlive_their_workers(
    airflow: AirflowApi, after_a_kill: tuple[str, list[dict[str, Any]]]
) -> None:
    logs = [item.key for item in store_of_bucket("langaudio-logs").list("airflow/")]
    assert [key for key in logs if "task_id=train" in key]
    train = next(one for one in after_a_kill[1] if one["task_id"] == "train")
    assert any(line.startswith("epoch 1 of 1") for line in airflow.log_lines(train))


@pytest.mark.usefixtures("after_a_kill")
def test_airflow_tells_a_collector_what_alerts_are_made_of(metrics: tuple[str, list[bytes]]) -> None:
    told = b"".join(metrics[1])
    for name in ("scheduler_heartbeat", "pool.queued_slots", "task_instances_without_heartbeats_killed"):
        assert name.encode() in told


def test_services_are_reached_at_their_own_addresses_only(topology: Topology) -> None:
    own = {topology.address(name) for name in topology.services}
    assert topology.listening() <= {*own, "127.0.0.1"}


def test_preparing_again_changes_nothing(topology: Topology, airflow: AirflowApi) -> None:
    before = airflow.runs("language_audio")
    topology.run("init")
    again = AirflowApi(airflow.url, topology.variables["AIRFLOW_ADMIN_PASSWORD"])
    assert again.runs("language_audio") == before
