"""The main job in a real Airflow, against a real S3 server, MLflow and the demo site.

The tests are one story and run in this order: the demo, a night with nothing new, a language that fails, a
form that is wrong, and at last the services' own behaviour.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import soundfile

from langaudio import catalog, doctor, identify, registry, services
from langaudio.audio import SAMPLE_RATE, decode
from langaudio.augment.shards import read_index
from langaudio.demo.run import LEAST_MACRO_F1
from langaudio.errors import LangaudioError
from langaudio.services.airflow_api import AirflowApi
from langaudio.settings import settings
from langaudio.store import default_store, keys
from tests.integration.conftest import LANGUAGES

FORM = {"source": "demo", "copies": 1, "balance_minutes": 0, "epochs": 6}


def run(airflow: AirflowApi, dag: str, **form: Any) -> tuple[str, list[dict[str, Any]]]:
    """Trigger a DAG, wait for its end, return its state and its task instances."""
    airflow.wait_for_dag(dag)
    run_id = airflow.trigger(dag, FORM | form)
    for _ in airflow.follow(dag, run_id, poll_s=0.5):
        pass
    return airflow.run(dag, run_id)["state"], airflow.task_instances(dag, run_id)


def states(instances: list[dict[str, Any]]) -> dict[str, str]:
    return {f"{one['task_id']} {one['rendered_map_index'] or ''}".strip(): one["state"] for one in instances}


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "langaudio.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


@pytest.fixture(scope="module")
def demo(home: Path) -> subprocess.CompletedProcess[str]:
    return cli("demo", "--epochs", "6")


@pytest.fixture(scope="module")
def first_run(demo: subprocess.CompletedProcess[str]) -> tuple[str, list[dict[str, Any]]]:
    """The run that the demo triggered: its state, and its task instances."""
    airflow, run_id = AirflowApi(), _first_run_id()
    return airflow.run("language_audio", run_id)["state"], airflow.task_instances("language_audio", run_id)


def test_the_demo_tells_what_it_does_and_what_came_of_it(
    home: Path, demo: subprocess.CompletedProcess[str]
) -> None:
    result = json.loads((home / "demo.json").read_text())
    # Six epochs on three speakers may be too few for the promise that `make demo` makes.
    assert demo.returncode == (0 if result["macro_f1"] >= LEAST_MACRO_F1 else 1), demo.stderr
    told = demo.stdout
    for stage in ("crawl", "upload", "augment"):
        for language in LANGUAGES:
            assert re.search(rf" {stage} {language} +success in [\d.]+ s", told)
    for stage in ("check", "train", "evaluate", "promote"):
        assert re.search(rf" {stage} +success in [\d.]+ s", told)
    epochs = [f"epoch {number} of 6: loss" for number in range(1, 7)]
    assert [told.count(epoch) for epoch in epochs] == [1] * 6
    store = default_store()
    for language in LANGUAGES:
        row = result["languages"][language]
        assert row["clips"] == catalog.read(store, language, ["clip_id"]).num_rows
        assert row["speakers"] == 5
        assert row["copies"] > 0
        assert row["quarantined"] == len(catalog.quarantined(store, language))
        assert re.search(rf"│ {language} .*│ +{row['clips']} │ +5 │", told)
    assert f"macro-F1 {result['macro_f1']:.3f}" in told
    assert "Version 1 of the model is champion: There was no champion." in told
    assert result["peak_rss_mib"] >= max(stage["peak_rss_mib"] for stage in result["stages"].values())
    assert {name.split("-")[0] for name in re.findall(r"│ (\S+\.mp3) ", told)} == set(LANGUAGES)


@pytest.mark.usefixtures("first_run")
def test_the_demo_does_not_pass_one_site_off_as_another(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,language,speaker,split,licence,source\n")
    other = cli("demo", "--corpus", str(tmp_path))
    assert other.returncode == 2
    assert "stop it with `make down` first" in other.stderr
    absent = cli("demo", "--corpus", str(tmp_path / "absent"))
    assert absent.returncode == 2
    assert "does not exist" in absent.stderr


def test_the_whole_chain_succeeds_and_names_its_tasks(first_run: tuple[str, list[dict[str, Any]]]) -> None:
    state, instances = first_run
    assert state == "success"
    expected = {"plan", "check", "train", "evaluate", "promote"}
    expected |= {
        f"language.{stage} {language}" for stage in ("crawl", "upload", "augment") for language in LANGUAGES
    }
    assert states(instances) == dict.fromkeys(expected, "success")


@pytest.mark.usefixtures("first_run")
def test_the_bucket_holds_the_corpus(home: Path) -> None:
    store = default_store()
    assert catalog.languages(store) == LANGUAGES
    for language in LANGUAGES:
        rows = catalog.read(store, language, ["clip_id", "split", "licence"]).to_pylist()
        assert len(rows) >= 15
        assert {row["split"] for row in rows} == {"train", "dev", "test"}
        assert all(row["licence"] for row in rows)
        assert {item.key for item in store.list(f"raw/{language}/")} >= {
            keys.raw(language, row["clip_id"], "mp3") for row in rows
        }


@pytest.mark.usefixtures("first_run")
def test_training_clips_only_are_augmented(home: Path) -> None:
    store = default_store()
    recipe_id = store.folders("augmented/")[0]
    for language in LANGUAGES:
        rows = catalog.read(store, language, ["clip_id", "split"]).to_pylist()
        training = {row["clip_id"] for row in rows if row["split"] == "train"}
        augmented = set(read_index(store, recipe_id, language)["clip_id"].to_pylist())
        assert augmented >= training
        # A clip that another language turned out to have, too, may have been augmented by then.
        assert augmented - training <= catalog.quarantined(store, language)


@pytest.mark.usefixtures("first_run")
def test_the_champion_identifies_unheard_speakers(home: Path) -> None:
    store = default_store()
    right = total = 0
    for language in LANGUAGES:
        for row in catalog.read(store, language, ["clip_id", "format", "split"]).to_pylist():
            if row["split"] != "train":
                answer = identify(store.get(keys.raw(language, row["clip_id"], row["format"])))
                # With so little training many are unknown; the likeliest language is told all the same.
                right += next(iter(answer.probabilities), None) == language
                total += 1
    assert total >= 18
    # Chance is a third, and gives this once in 70 runs; six epochs on three speakers do not reach one.
    assert right / total > 0.56


@pytest.mark.usefixtures("first_run")
def test_reports_are_short(airflow: AirflowApi, first_run: tuple[str, list[dict[str, Any]]]) -> None:
    for instance in first_run[1]:
        report = airflow.xcom(instance)
        assert report
        assert len(json.dumps(report)) < 4000


@pytest.mark.usefixtures("first_run")
def test_no_secret_is_in_a_log(home: Path) -> None:
    variables = dict(
        line.split("=", 1) for line in (home / "settings.env").read_text().splitlines() if "=" in line
    )
    secrets = [
        value.strip("'")
        for name, value in variables.items()
        if any(word in name for word in ("SECRET", "SPEAKER_KEY", "FERNET"))
    ]
    assert len(secrets) >= 4
    for log in [*(home / "logs").rglob("*"), *(home / "airflow" / "logs").rglob("*.log")]:
        if log.is_file():
            text = log.read_text(errors="replace")
            assert not [secret for secret in secrets if secret in text], log


@pytest.mark.usefixtures("first_run")
def test_a_night_with_nothing_new_trains_nothing(airflow: AirflowApi) -> None:
    before = registry.aliased(registry.CHAMPION)
    objects = {item.key for item in default_store().list("") if not item.key.startswith("staging/")}
    state, instances = run(airflow, "nightly_recrawl", train_if_unchanged=False)
    assert state == "success"
    assert states(instances)["train"] == "skipped"
    crawls = [airflow.xcom(one) for one in instances if one["task_id"] == "language.crawl"]
    assert [report["audio_bytes"] for report in crawls] == [0] * len(LANGUAGES)
    assert registry.aliased(registry.CHAMPION) == before
    assert {item.key for item in default_store().list("") if not item.key.startswith("staging/")} == objects


@pytest.mark.usefixtures("first_run")
def test_a_language_that_fails_leaves_the_others_green(airflow: AirflowApi) -> None:
    # The site has no Italian: its list answers 404.
    _, instances = run(airflow, "language_audio", languages=[*LANGUAGES, "it"])
    told = states(instances)
    assert told["language.crawl it"] == "failed"
    assert told["train"] == told["promote"] == "success"
    failed = next(one for one in instances if one["state"] == "failed")
    assert failed["try_number"] == 1  # what is wrong stays wrong: no retries
    assert any("answers 404" in line for line in airflow.log_lines(failed))


def test_what_airflow_refuses_is_one_sentence(airflow: AirflowApi) -> None:
    with pytest.raises(LangaudioError, match=r"Airflow refuses POST /api/v2/dags/no_such_dag/dagRuns"):
        airflow.trigger("no_such_dag", {})
    with pytest.raises(LangaudioError, match=r"(?s)Airflow refuses POST .*epochs"):
        airflow.trigger("language_audio", {"epochs": 0})


@pytest.mark.usefixtures("first_run")
def test_a_bucket_with_a_fault_is_not_trained_on_until_it_is_mended(airflow: AirflowApi) -> None:
    store = default_store()
    rows = catalog.read(store, "fr", ["clip_id", "format", "split"]).to_pylist()
    row = next(row for row in rows if row["split"] == "train")
    store.delete(keys.raw("fr", row["clip_id"], row["format"]))
    _, instances = run(airflow, "nightly_recrawl", languages=LANGUAGES, train_if_unchanged=False)
    told = states(instances)
    assert (told["check"], told["train"]) == ("failed", "upstream_failed")
    check = next(one for one in instances if one["task_id"] == "check")
    assert any("1 row_without_object; raw/fr/" in line for line in airflow.log_lines(check))
    assert doctor.repair(doctor.diagnose(store)) == {"row_without_object": 1}
    assert store.exists(keys.raw("fr", row["clip_id"], row["format"]))
    _, instances = run(airflow, "nightly_recrawl", languages=LANGUAGES, train_if_unchanged=False)
    assert states(instances)["check"] == "success"


@pytest.mark.usefixtures("first_run")
def test_a_folder_of_recordings_is_one_run(airflow: AirflowApi, tmp_path: Path) -> None:
    store = default_store()
    for language in LANGUAGES[:2]:
        rows = catalog.read(store, language, ["clip_id", "format"]).slice(0, 3).to_pylist()
        (tmp_path / language).mkdir()
        for row in rows:
            speech = decode(store.get(keys.raw(language, row["clip_id"], row["format"]))).samples
            soundfile.write(tmp_path / language / f"{row['clip_id']}.flac", speech, SAMPLE_RATE)
    form = {"source": "corpus", "location": str(tmp_path), "languages": [], "epochs": 1}
    state, instances = run(airflow, "language_audio", **form)
    assert state == "success"
    crawled = [one["rendered_map_index"] for one in instances if one["task_id"] == "language.crawl"]
    assert sorted(crawled) == LANGUAGES[:2]  # all that the folder has
    for language in LANGUAGES[:2]:
        rows = catalog.read(store, language, ["source", "format"]).to_pylist()
        assert rows.count({"source": "corpus", "format": "flac"}) == 3


@pytest.mark.usefixtures("first_run")
def test_a_wrong_language_fails_the_plan_with_one_sentence(airflow: AirflowApi) -> None:
    state, instances = run(airflow, "backfill_languages", languages=["xx"])
    assert state == "failed"
    plan = next(one for one in instances if one["task_id"] == "plan_lacking")
    assert any("'xx' is not a known language tag" in line for line in airflow.log_lines(plan))
    assert {one["state"] for one in instances} == {"failed", "upstream_failed"}


def test_every_server_listens_on_loopback_only(home: Path) -> None:
    root = psutil.Process(int((home / "supervisord.pid").read_text()))
    processes = [root, *root.children(recursive=True)]
    listening = [
        connection.laddr
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_the_status_tells_that_all_are_well(home: Path) -> None:
    told = cli("status").stdout
    for service in services.listening(settings()):
        assert re.search(rf"{service.title} +│ {service.url} +│ well ", told)


def test_a_second_up_changes_nothing(home: Path) -> None:
    before = (home / "supervisord.pid").read_text()
    services.up(lambda: None, print)
    assert (home / "supervisord.pid").read_text() == before


def test_a_taken_port_is_one_sentence(home: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "LANGAUDIO_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "langaudio.cli", "up"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"Port {settings().airflow_port}, which Airflow wants, is taken" in done.stderr


@pytest.mark.usefixtures("first_run")
def test_what_was_there_before_down_is_there_after_up(home: Path) -> None:
    store = default_store()
    objects = {item.key for item in store.list("")}
    champion = registry.aliased(registry.CHAMPION)
    services.down(print)
    with pytest.raises(LangaudioError, match="does not answer"):
        store.get("anything")
    services.up(lambda: None, print)
    assert {item.key for item in default_store().list("")} == objects
    assert registry.aliased(registry.CHAMPION) == champion
    assert AirflowApi().run("language_audio", _first_run_id())["state"] == "success"


def test_when_a_service_dies_the_others_stop_and_its_log_is_told(home: Path) -> None:
    root = psutil.Process(int((home / "supervisord.pid").read_text()))
    victim = next(one for one in root.children() if "rclone" in one.name())
    victim.send_signal(signal.SIGKILL)
    root.wait(60)
    assert not services.running(home)
    note = services.death_note(home)
    assert note
    assert note.startswith("s3 ended by itself.")
    assert note in cli("status").stdout
    for service in services.listening(settings()):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(service.url.rsplit(":", 1)[1]))) != 0
    services.up(lambda: None, print)
    assert services.death_note(home) is None


def _first_run_id() -> str:
    runs = AirflowApi()._call("GET", "/api/v2/dags/language_audio/dagRuns", params={"order_by": "id"})
    return str(runs["dag_runs"][0]["dag_run_id"])
