"""Nights: with nothing new, with a refusal, late, and with a fault in the bucket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from langaudio import catalog, doctor, registry
from langaudio.services.airflow_api import AirflowApi
from langaudio.store import default_store, keys
from tests.integration.conftest import LANGUAGES, REFUSED, REFUSING_LINE
from tests.integration.story import (
    Instances,
    airflow_cli,
    clear,
    ended,
    instance,
    log_of,
    newest_run,
    run,
    states,
    wait_for,
)

BY_HAND, NIGHT = "language_audio", "nightly_recrawl"
EXAMPLE = "speech_of_a_language"


@pytest.fixture(scope="module")
def quiet_night(first_run: Any) -> tuple[str, Instances, dict[str, Any]]:
    """A night in which the site has nothing new; and what there was before it."""
    airflow = AirflowApi()
    before = {
        "champion": registry.aliased(registry.CHAMPION),
        "objects": _objects(),
        "runs": len(_runs(airflow, EXAMPLE)),
    }
    state, instances = run(airflow, NIGHT, min_change_percent=1)
    return state, instances, before


def _objects() -> set[str]:
    return {item.key for item in default_store().list("") if not item.key.startswith("staging/")}


def _runs(airflow: AirflowApi, dag: str) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = airflow._call("GET", f"/api/v2/dags/{dag}/dagRuns")["dag_runs"]
    return runs


def test_a_night_with_nothing_new_is_green_and_changes_nothing(
    airflow: AirflowApi, quiet_night: tuple[str, Instances, dict[str, Any]]
) -> None:
    state, instances, before = quiet_night
    assert state == "success"
    told = states(instances)
    assert (told["train"], told["evaluate"], told["promote"]) == ("skipped",) * 3
    crawls = [airflow.xcom(one) for one in instances if one["task_id"] == "language.crawl"]
    assert [report["audio_bytes"] for report in crawls] == [0] * len(LANGUAGES)
    assert registry.aliased(registry.CHAMPION) == before["champion"]
    assert _objects() == before["objects"]


def test_a_night_with_nothing_new_says_so(
    airflow: AirflowApi, home: Path, quiet_night: tuple[str, Instances, dict[str, Any]]
) -> None:
    _, instances, _ = quiet_night
    report = airflow.xcom(instance(instances, "report"))
    assert report["headline"] == "Nothing new."
    assert report["languages"] == {}
    assert "0 are gone; 0 are new" in report["model"]
    message = f"Nothing new.\nNothing new of: {', '.join(LANGUAGES)}.\n{report['model']}"
    assert message in log_of(airflow, instances, "report")
    # The notifier had it, too, with Airflow's context for its other templates.
    run_id = instances[0]["dag_run_id"]
    assert f"{NIGHT}, run {run_id}: {message}\n({run_id})" in (home / "told.txt").read_text()


def test_where_nothing_changed_nobody_elses_dag_runs(
    airflow: AirflowApi, quiet_night: tuple[str, Instances, dict[str, Any]]
) -> None:
    assert len(_runs(airflow, EXAMPLE)) == quiet_night[2]["runs"]


@pytest.mark.usefixtures("quiet_night")
def test_a_night_that_is_late_is_told_of(home: Path) -> None:
    # The deadline of this deployment is a second.
    late = f"{NIGHT}, run manual__"
    wait_for(
        lambda: any(
            line.startswith(late) and "still running after 0.0003 hours" in line
            for line in (home / "told.txt").read_text().splitlines()
        ),
        "the word that a night is late",
    )


@pytest.fixture(scope="module")
def refused(quiet_night: Any, home: Path) -> str:
    """The id of a run that begins, by hand from the command line, of a source that does not want us."""
    conf = json.dumps({"source": "audio_lingua", "languages": [REFUSED]})
    airflow_cli(home, "dags", "trigger", BY_HAND, "--conf", conf)
    found = newest_run(AirflowApi(), BY_HAND)
    assert found
    return str(found["dag_run_id"])


@pytest.mark.usefixtures("refused")
def test_a_bucket_with_a_fault_is_not_trained_on_until_it_is_mended(airflow: AirflowApi) -> None:
    store = default_store()
    rows = catalog.read(store, "fr", ["clip_id", "format", "split"]).to_pylist()
    row = next(row for row in rows if row["split"] == "train")
    store.delete(keys.raw("fr", row["clip_id"], row["format"]))
    state, instances = run(airflow, NIGHT, languages=LANGUAGES, min_change_percent=1)
    told = states(instances)
    assert (state, told["check"], told["train"]) == ("failed", "failed", "upstream_failed")
    assert "1 row_without_object; raw/fr/" in log_of(airflow, instances, "check")
    assert doctor.repair(doctor.diagnose(store)) == {"row_without_object": 1}
    assert store.exists(keys.raw("fr", row["clip_id"], row["format"]))
    run_id = instances[0]["dag_run_id"]
    clear(airflow, NIGHT, run_id, only_failed=True)
    state, instances = ended(airflow, NIGHT, run_id)
    assert (state, states(instances)["check"]) == ("success", "success")


def test_a_refusal_is_not_tried_again_and_names_the_line(
    airflow: AirflowApi, home: Path, refused: str
) -> None:
    state, instances = ended(airflow, BY_HAND, refused)
    assert state == "failed"
    crawl = instance(instances, f"language.crawl {REFUSED}")
    assert (crawl["state"], crawl["try_number"]) == ("failed", 1)
    assert REFUSING_LINE in log_of(airflow, instances, f"language.crawl {REFUSED}")
    told = (home / "told.txt").read_text().split("\n\n")
    (message,) = [one for one in told if refused in one and "failed" in one]
    assert f"1 of 1 languages failed: {REFUSED}." in message
    assert f"{REFUSED}: crawl failed: " in message
    assert REFUSING_LINE in message
