"""What every DAG of the project promises to the people who meet it in Airflow's UI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from langaudio.services.config import PROJECT
from tests.dags.conftest import parse

DAGS = {
    "language_audio": "language_audio.py",
    "nightly_recrawl": "nightly_recrawl.py",
    "backfill_languages": "backfill_languages.py",
}
"""Every DAG and its file. A file that is not listed here fails a test: list it, and its promises hold."""

HELPERS = {"chain.py"}
CHAIN = {
    "language.crawl": [],
    "language.upload": ["language.crawl"],
    "language.augment": ["language.upload"],
    "check": ["language.augment"],
    "train": ["check"],
    "evaluate": ["train"],
    "promote": ["evaluate"],
}


def test_every_file_is_listed_and_gives_its_dag(parsed: dict[str, Any]) -> None:
    assert {dag: described["file"] for dag, described in parsed["dags"].items()} == DAGS
    assert {file.name for file in (PROJECT / "dags").glob("*.py")} == {*DAGS.values(), *HELPERS}
    assert (PROJECT / "dags" / ".airflowignore").read_text().split() == sorted(HELPERS)


def test_parsing_asks_neither_database_nor_network(parsed: dict[str, Any]) -> None:
    # tests/dags/parse.py shuts both, so an attempt is an import error, if nothing swallows it.
    assert parsed["errors"] == {}
    assert parsed["reached"] == []


def test_what_reaches_out_while_parsing_would_be_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    reaching = {
        "sdk.py": "from airflow.sdk import Variable; Variable.get('x', default=None)",
        "models.py": "from airflow.models import Variable; Variable.get('x', default_var=None)",
        "caught.py": "from airflow.sdk import Connection\ntry: Connection.get('x')\nexcept Exception: pass",
    }
    for name, code in reaching.items():
        (folder / name).write_text(f"{code}\n")
    reached = parse(folder, tmp_path / "airflow")["reached"]
    assert {Path(file).name for file in reached} == reaching.keys()


def test_parsing_imports_nothing_heavy(parsed: dict[str, Any]) -> None:
    assert parsed["heavy"] == []


@pytest.mark.parametrize("dag", DAGS)
def test_a_dag_is_documented_owned_and_tagged(parsed: dict[str, Any], dag: str) -> None:
    described = parsed["dags"][dag]
    for question in ("What it costs", "When a task is red"):
        assert question in described["doc"]
    assert described["tags"] == ["langaudio"]
    assert described["max_active_runs"] == 1
    for task in described["tasks"].values():
        assert task["owner"] == "langaudio"
        assert task["retries"] == 2
        assert task["doc"]


@pytest.mark.parametrize("dag", DAGS)
def test_the_chain_is_the_designs(parsed: dict[str, Any], dag: str) -> None:
    tasks = parsed["dags"][dag]["tasks"]
    (plan,) = tasks.keys() - CHAIN.keys()
    assert plan.startswith("plan")
    for task, upstream in CHAIN.items():
        # A mapped group waits for the plan that it is mapped over.
        assert [one for one in tasks[task]["upstream"] if one != plan] == upstream
    assert tasks["language.crawl"]["pool"] == "crawl"


@pytest.mark.parametrize("dag", DAGS)
def test_a_failed_language_does_not_stop_the_training(parsed: dict[str, Any], dag: str) -> None:
    assert parsed["dags"][dag]["tasks"]["check"]["trigger_rule"] == "all_done_min_one_success"
    assert parsed["dags"][dag]["tasks"]["check"]["upstream"] == ["language.augment"]


@pytest.mark.parametrize("dag", DAGS)
def test_every_field_of_the_form_is_explained(parsed: dict[str, Any], dag: str) -> None:
    params = parsed["dags"][dag]["params"]
    assert {"languages", "source", "limit", "copies", "epochs", "seed"} <= params.keys()
    for schema in params.values():
        assert schema["title"]
        assert schema["description"].endswith(".")
        assert schema["section"]


@pytest.mark.parametrize("dag", DAGS)
def test_every_form_can_be_sent_as_it_is(parsed: dict[str, Any], dag: str) -> None:
    defaults = parsed["dags"][dag]["defaults"]
    # An empty text in a field that is no "null" as well disables the button.
    assert [name for name, schema in parsed["dags"][dag]["params"].items()
            if schema["type"] == "string" and not defaults[name]] == []  # fmt: skip


@pytest.mark.parametrize("dag", DAGS)
def test_recipes_are_proposed_and_others_are_allowed(parsed: dict[str, Any], dag: str) -> None:
    recipe = parsed["dags"][dag]["params"]["recipe"]
    assert "default" in recipe["examples"]
    assert "enum" not in recipe
    assert "s3://" in recipe["description"]


@pytest.mark.parametrize("dag", DAGS)
def test_languages_that_take_all_cores_do_so_one_after_the_other(parsed: dict[str, Any], dag: str) -> None:
    assert parsed["dags"][dag]["tasks"]["language.augment"]["pool"] == "augment"


def test_only_the_night_starts_by_itself(parsed: dict[str, Any]) -> None:
    schedules = {dag: described["schedule"] for dag, described in parsed["dags"].items()}
    assert schedules == {
        "language_audio": None,
        "nightly_recrawl": "0 2 * * *",
        "backfill_languages": None,
    }
    assert parsed["dags"]["nightly_recrawl"]["defaults"]["train_if_unchanged"] is False
