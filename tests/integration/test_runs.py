"""Runs side by side: a language that fails, a backfill that is interrupted, approvals; and all cleared.

They run at the same time, on the same languages, and are awaited together.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import soundfile

from langaudio import catalog, registry
from langaudio.audio import SAMPLE_RATE, decode
from langaudio.services.airflow_api import AirflowApi
from langaudio.store import default_store, keys
from tests.integration.conftest import LANGUAGES, MORE
from tests.integration.story import (
    FORM,
    Instances,
    airflow_cli,
    answer,
    clear,
    ended,
    instance,
    log_of,
    newest_run,
    state_of,
    states,
    wait_for,
)

BY_HAND, NIGHT, BACKFILL = "language_audio", "nightly_recrawl", "backfill_languages"
DAY = "2000-01-01"
EPOCHS = 5
"""So many that a training can be ended among them."""

FORBIDDEN = "it"
"""A language that the site does not have: its list answers 404."""


@pytest.fixture(scope="module")
def side_by_side(home: Path, first_run: Any, recordings: Path) -> dict[str, Any]:
    """Three runs at a time: by hand, with a language that fails and an approval; one that takes in recordings
    of the same languages; and Airflow's own backfill.

    The backfill's training is ended by somebody; nobody answers its question, when it is cleared.
    """
    airflow, champion = AirflowApi(), registry.aliased(registry.CHAMPION)
    for dag in (BY_HAND, NIGHT, BACKFILL):
        airflow.wait_for_dag(dag)
    form = FORM | {
        "source": "audio_lingua",
        "languages": [MORE],
        "epochs": EPOCHS,
        "ask_before_promoting": True,
        "approval_hours": 0.0005,
    }
    airflow_cli(
        home, "backfill", "create", "--dag-id", BACKFILL, "--from-date", DAY, "--to-date", DAY,
        "--dag-run-conf", json.dumps(form),
    )  # fmt: skip
    by_hand = airflow.trigger(
        BY_HAND, FORM | {"languages": [*LANGUAGES[:2], FORBIDDEN], "ask_before_promoting": True}
    )
    imported = airflow.trigger(NIGHT, _import_form(recordings))
    backfill = wait_for(lambda: newest_run(airflow, BACKFILL, run_type="backfill"), "a run of the backfill")
    run_id = backfill["dag_run_id"]
    _interrupt(airflow, run_id)
    asked = answer(airflow, BY_HAND, by_hand, "Approve")
    interrupted = ended(airflow, BACKFILL, run_id)
    granted = ended(airflow, BY_HAND, by_hand)
    crowned = registry.aliased(registry.CHAMPION)
    clear(airflow, BACKFILL, run_id, only_failed=True)
    resumed = ended(airflow, BACKFILL, run_id)
    return {
        "champions": (champion, crowned, registry.aliased(registry.CHAMPION)),
        "backfill": backfill,
        "asked": asked,
        "interrupted": interrupted,
        "granted": granted,
        "imported": ended(airflow, NIGHT, imported),
        "resumed": resumed,
    }


@pytest.fixture(scope="module")
def recordings(first_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three recordings of two languages each."""
    folder, store = tmp_path_factory.mktemp("recordings"), default_store()
    for language in LANGUAGES[:2]:
        rows = catalog.read(store, language, ["clip_id", "format", "split"]).to_pylist()
        # No recording may be on two sides of the split, and whose speaker is unknown is trained on.
        rows = [row for row in rows if row["split"] == "train"][:3]
        (folder / language).mkdir()
        for row in rows:
            speech = decode(store.get(keys.raw(language, row["clip_id"], row["format"]))).samples
            soundfile.write(folder / language / f"{row['clip_id']}.flac", speech, SAMPLE_RATE)
    return folder


def _import_form(folder: Path) -> dict[str, Any]:
    languages = LANGUAGES[:2]
    return {"source": "corpus", "location": str(folder), "languages": languages, "min_change_percent": 100}


def _interrupt(airflow: AirflowApi, run_id: str) -> None:
    """End the training after an epoch, as the UI's "mark as failed" does."""

    def has_learned() -> Any:
        instances = airflow.task_instances(BACKFILL, run_id)
        return instance(instances, "train")["state"] == "running" and re.search(
            r"epoch [2-9] of", log_of(airflow, instances, "train")
        )

    wait_for(has_learned, "an epoch")
    path = f"/api/v2/dags/{BACKFILL}/dagRuns/{run_id}/taskInstances/train"
    airflow._call("PATCH", path, json={"new_state": "failed"})


def test_a_language_that_fails_leaves_the_others_green(
    airflow: AirflowApi, side_by_side: dict[str, Any]
) -> None:
    state, instances = side_by_side["granted"]
    told = states(instances)
    assert told.pop(f"language.crawl {FORBIDDEN}") == "failed"
    assert instance(instances, f"language.crawl {FORBIDDEN}")["try_number"] == 1
    assert "answers 404" in log_of(airflow, instances, f"language.crawl {FORBIDDEN}")
    # So that the run does not look whole.
    assert (state, told.pop("report")) == ("failed", "failed")
    done = {"plan", "parts", "augmented", "check", "train", "evaluate", "approve", "promote"}
    done |= {f"language.{stage} {code}" for stage in ("crawl", "upload", "augment") for code in LANGUAGES[:2]}
    assert {name for name, state in told.items() if state == "success"} == done


def test_a_folder_of_recordings_is_taken_in_while_others_work_on_the_same_languages(
    side_by_side: dict[str, Any],
) -> None:
    state, instances = side_by_side["imported"]
    assert state == "success"
    for language in LANGUAGES[:2]:
        assert states(instances)[f"language.upload {language}"] == "success"
        rows = catalog.read(default_store(), language, ["source", "format"]).to_pylist()
        assert rows.count({"source": "corpus", "format": "flac"}) == 3


def test_the_outcome_says_which_language_failed_and_why(home: Path, side_by_side: dict[str, Any]) -> None:
    run_id = side_by_side["granted"][1][0]["dag_run_id"]
    (message,) = [one for one in (home / "told.txt").read_text().split("\n\n") if run_id in one]
    assert f"1 of 3 languages failed: {FORBIDDEN}." in message
    assert f"\n{FORBIDDEN}: crawl failed: " in message
    assert "answers 404" in message
    assert f"\nNothing new of: {', '.join(LANGUAGES[:2])}." in message


def test_a_person_sees_the_challenger_beside_the_champion(side_by_side: dict[str, Any]) -> None:
    asked = side_by_side["asked"]
    assert asked["subject"] == "Shall this network become the champion?"
    assert asked["options"] == ["Approve", "Refuse"]
    body = asked["body"]
    assert "| | challenger | champion (version 1) |" in body
    assert "By the rules it **would not be promoted**: It does not know ru" in body
    assert "/artifacts/confusion_matrix.png)" in body


def test_what_a_person_approves_becomes_champion(airflow: AirflowApi, side_by_side: dict[str, Any]) -> None:
    before, crowned, _ = side_by_side["champions"]
    promoted = airflow.xcom(instance(side_by_side["granted"][1], "promote"))
    assert (promoted["promoted"], promoted["alias"]) == (True, "champion")
    assert promoted["reason"].startswith("admin approved it. By the rules: ")
    assert crowned.number == promoted["version"] > before.number


def test_airflows_own_backfill_previews_and_brings_in_what_is_lacking(
    airflow: AirflowApi, side_by_side: dict[str, Any]
) -> None:
    assert side_by_side["backfill"]["logical_date"].startswith(DAY)
    _, instances = side_by_side["resumed"]
    code = MORE
    clips = catalog.read(default_store(), code, ["clip_id"]).num_rows
    assert clips > 0
    foreseen = airflow.xcom(instance(instances, "preview"))
    crawled = airflow.xcom(instance(instances, f"language.crawl {code}"))
    assert foreseen["clips"] == crawled["new"]
    assert f"{code}: {foreseen['clips']} clips and {foreseen['pages']} pages, about" in log_of(
        airflow, instances, "preview"
    )
    started = instance(instances, "preview")["end_date"]
    assert started <= instance(instances, f"language.crawl {code}")["start_date"]
    # Trained with all of the corpus.
    assert airflow.xcom(instance(instances, "train"))["languages"] == sorted([*LANGUAGES, code])


def test_a_training_that_was_ended_is_told_of_and_goes_on_when_cleared(
    airflow: AirflowApi, home: Path, side_by_side: dict[str, Any]
) -> None:
    state, instances = side_by_side["interrupted"]
    told = states(instances)
    assert (state, told["train"], told["promote"]) == ("failed", "failed", "upstream_failed")
    assert "train failed: it was ended before it could say why" in (home / "told.txt").read_text()
    state, instances = side_by_side["resumed"]
    assert (state, states(instances)["train"]) == ("success", "success")
    log = log_of(airflow, instances, "train")
    assert "was cut off: going on after its last epoch" in log
    assert f"epoch 1 of {EPOCHS}" not in log


def test_no_answer_means_no_promotion_and_no_red_run(
    airflow: AirflowApi, side_by_side: dict[str, Any]
) -> None:
    _, crowned, after = side_by_side["champions"]
    state, instances = side_by_side["resumed"]
    promoted = airflow.xcom(instance(instances, "promote"))
    assert (state, promoted["promoted"]) == ("success", False)
    assert "nobody answered in time, and no answer is no promotion" in promoted["reason"]
    assert after == crowned


@pytest.fixture(scope="module")
def all_cleared(side_by_side: dict[str, Any]) -> tuple[str, Instances, dict[str, Any]]:
    """The run by hand once more, every task of it; its question is answered by a no."""
    airflow = AirflowApi()
    _, instances = side_by_side["granted"]
    run_id = instances[0]["dag_run_id"]
    before = {code: _staged(run_id, code) for code in LANGUAGES[:2]}
    body = {"dry_run": False, "only_failed": False}
    airflow._call("POST", f"/api/v2/dags/{BY_HAND}/dagRuns/{run_id}/clear", json=body)
    wait_for(lambda: state_of(airflow, BY_HAND, run_id, "promote") is None, "clearing")
    answer(airflow, BY_HAND, run_id, "Refuse")
    return *ended(airflow, BY_HAND, run_id), before


def _staged(run_id: str, language: str) -> dict[str, Any]:
    """Return what the crawl of a run has left, and when."""
    folder = keys.staging("demo", keys.run_id(run_id), language)
    found = {item.key: item.modified for item in default_store().list(folder)}
    return {key: modified for key, modified in found.items() if not key.endswith("_UPLOADED")}


def test_every_kind_of_task_can_be_cleared_and_repeats_nothing(
    airflow: AirflowApi, side_by_side: dict[str, Any], all_cleared: tuple[str, Instances, dict[str, Any]]
) -> None:
    _, first = side_by_side["granted"]
    _, again, before = all_cleared
    assert states(again) == states(first)
    for code in LANGUAGES[:2]:
        # The crawl was complete.
        assert _staged(instance(again, "plan")["dag_run_id"], code) == before[code] != {}
        assert airflow.xcom(instance(again, f"language.upload {code}"))["published"] == 0
        assert airflow.xcom(instance(again, f"language.augment {code}"))["written"] == 0


def test_a_refused_network_is_not_promoted(
    airflow: AirflowApi, side_by_side: dict[str, Any], all_cleared: tuple[str, Instances, dict[str, Any]]
) -> None:
    promoted = airflow.xcom(instance(all_cleared[1], "promote"))
    assert promoted["promoted"] is False
    assert promoted["reason"].startswith("Not promoted: admin refused it.")
    assert registry.aliased(registry.CHAMPION) == side_by_side["champions"][2]
