"""What the forms refuse before a run is made, and what the first task refuses before anything is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langaudio import catalog
from langaudio.errors import LangaudioError
from langaudio.services.airflow_api import AirflowApi
from langaudio.store import default_store
from tests.integration.conftest import LANGUAGES
from tests.integration.story import ended, instance, log_of, states

DAGS = ("language_audio", "nightly_recrawl", "backfill_languages")


@pytest.mark.parametrize("dag", DAGS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("languages", ["xx"]),
        ("languages", "fr"),
        ("languages", ["fr", "fr"]),
        ("source", "spotify"),
        ("limit", -1),
        ("recipe", ""),
        ("copies", 51),
        ("epochs", 0),
        ("seed", 2**32),
        ("min_change_percent", 101),
        ("ask_before_promoting", "perhaps"),
        ("approval_hours", 0),
    ],
)
def test_a_wrong_value_is_refused_by_the_form(airflow: AirflowApi, dag: str, field: str, value: Any) -> None:
    airflow.wait_for_dag(dag)
    with pytest.raises(LangaudioError, match=rf"(?s)Airflow refuses POST .*{field}"):
        airflow.trigger(dag, {field: value})


def test_what_airflow_refuses_is_one_sentence(airflow: AirflowApi) -> None:
    with pytest.raises(LangaudioError, match=r"Airflow refuses POST /api/v2/dags/no_such_dag/dagRuns"):
        airflow.trigger("no_such_dag", {})


@pytest.mark.usefixtures("first_run")
def test_what_the_form_cannot_refuse_the_first_task_does_in_a_sentence(
    airflow: AirflowApi, home: Path
) -> None:
    wrong = {
        "language_audio": ({"source": "demo", "recipe": "defualt"}, "plan", "did you mean 'default'"),
        "nightly_recrawl": ({"source": "demo", "languages": ["ab"]}, "plan_known", "has no Abkhazian"),
        "backfill_languages": (
            {"source": "demo", "languages": LANGUAGES},
            "plan_backfill",
            f"The corpus has {', '.join(LANGUAGES)} already",
        ),
    }
    staged = {item.key for item in default_store().list("staging/")}
    runs = {dag: airflow.trigger(dag, form) for dag, (form, _, _) in wrong.items()}
    for dag, run_id in runs.items():
        _, plan, sentence = wrong[dag]
        state, instances = ended(airflow, dag, run_id)
        told = states(instances)
        assert (state, told.pop(plan), told.pop("report")) == ("failed", "failed", "failed")
        assert told.pop("augmented") == "success"  # a mark that nothing is under way
        assert set(told.values()) == {"upstream_failed"}
        assert instance(instances, plan)["try_number"] == 1
        assert sentence in log_of(airflow, instances, plan)
        assert f"{plan} failed: " in log_of(airflow, instances, "report")
    assert {item.key for item in default_store().list("staging/")} == staged
    assert catalog.languages(default_store()) == LANGUAGES
