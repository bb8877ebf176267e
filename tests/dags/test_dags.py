"""What every DAG of the project promises to the people who meet it in Airflow's UI."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from langaudio.services.config import PROJECT
from tests.dags.conftest import parse

DAGS = {
    "language_audio": "language_audio.py",
    "nightly_recrawl": "nightly_recrawl.py",
    "backfill_languages": "backfill_languages.py",
}
"""Every DAG and its file. A file that is not listed here fails a test: list it, and its promises hold."""

HELPERS = {"approval.py", "chain.py", "form.py", "notices.py"}
CHAIN = {
    "language.crawl": [],
    "language.upload": ["language.crawl"],
    "language.augment": ["language.upload"],
    "parts": ["language.augment"],
    "augment_part": ["parts"],
    "augmented": ["augment_part"],
    "check": ["augmented", "parts"],
    "train": ["check"],
    "evaluate": ["train"],
    "approve": ["evaluate"],
    "promote": ["approve", "evaluate"],
    "report": ["promote"],
}
BEFORE = {"plan", "plan_known", "plan_backfill", "preview"}


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
    for question in ("What it does", "What it costs", "When a task is red"):
        assert question in described["doc"]
    assert described["tags"] == ["langaudio"]
    assert described["max_active_runs"] == 1
    for task in described["tasks"].values():
        assert task["owner"] == "langaudio"
        assert (task["retries"], task["backoff"]) == (2, 2.0)
        assert task["doc"]


@pytest.mark.parametrize("dag", DAGS)
def test_the_chain_is_the_designs(parsed: dict[str, Any], dag: str) -> None:
    tasks = parsed["dags"][dag]["tasks"]
    assert len(tasks.keys() - CHAIN.keys() - {"preview"}) == 1
    assert tasks.keys() - CHAIN.keys() <= BEFORE
    for task, upstream in CHAIN.items():
        # A mapped group waits for the plan that it is mapped over.
        assert [one for one in tasks[task]["upstream"] if one not in BEFORE] == upstream
    assert tasks["language.crawl"]["pool"] == "crawl"


@pytest.mark.parametrize("dag", DAGS)
def test_a_failed_language_does_not_stop_the_training(parsed: dict[str, Any], dag: str) -> None:
    tasks = parsed["dags"][dag]["tasks"]
    assert tasks["parts"]["trigger_rule"] == "all_done_min_one_success"
    assert tasks["augmented"]["trigger_rule"] == "all_done"
    assert tasks["check"]["trigger_rule"] == "all_success"


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
    tasks = parsed["dags"][dag]["tasks"]
    assert {tasks[one]["pool"] for one in ("language.augment", "augment_part")} == {"augment"}


def test_a_backfill_tells_what_it_will_fetch_before_it_does(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["backfill_languages"]["tasks"]
    assert "preview" in tasks["language.crawl"]["upstream"]
    assert tasks["preview"]["pool"] == "crawl"  # it asks the source, too


@pytest.mark.parametrize("dag", DAGS)
def test_a_run_is_told_of_whatever_became_of_its_tasks(parsed: dict[str, Any], dag: str) -> None:
    assert parsed["dags"][dag]["tasks"]["report"]["trigger_rule"] == "all_done"


@pytest.mark.parametrize("dag", DAGS)
def test_a_skipped_crawl_does_not_skip_the_augmentation(parsed: dict[str, Any], dag: str) -> None:
    assert parsed["dags"][dag]["tasks"]["language.augment"]["trigger_rule"] == "none_failed"


@pytest.mark.parametrize("dag", DAGS)
def test_no_task_works_for_ever(parsed: dict[str, Any], dag: str) -> None:
    tasks = parsed["dags"][dag]["tasks"]
    # The question waits for a person as long as the form says, and does no work itself.
    assert {name for name, task in tasks.items() if not task["timeout_s"]} == {"approve"}
    assert tasks["language.crawl"]["timeout_s"] >= 12 * 3600  # a corpus of 40,000 clips, one a second


@pytest.mark.parametrize("dag", DAGS)
def test_assets_are_declared_where_they_are_made(parsed: dict[str, Any], dag: str) -> None:
    tasks = parsed["dags"][dag]["tasks"]
    made = {name: task["outlets"] for name, task in tasks.items() if task["outlets"]}
    assert made == {
        "language.upload": ["langaudio_raw"],
        "language.augment": ["langaudio_augmented"],
        "augment_part": ["langaudio_augmented"],
        "promote": ["langaudio_models"],
    }


@pytest.mark.parametrize("dag", DAGS)
def test_languages_are_chosen_by_their_names(parsed: dict[str, Any], dag: str) -> None:
    field = parsed["dags"][dag]["params"]["languages"]
    assert field["values_display"]["gcf"] == "Guadeloupean Creole (gcf)"
    shown = [field["values_display"][code] for code in field["examples"]]
    assert shown == sorted(shown)
    assert set(field["items"]["enum"]) == set(field["examples"])


def test_only_the_night_starts_by_itself(parsed: dict[str, Any]) -> None:
    starts = {dag for dag, described in parsed["dags"].items() if described["next"]}
    assert starts == {"nightly_recrawl"}
    assert parsed["dags"]["nightly_recrawl"]["schedule"] == "0 2 * * *"
    assert parsed["dags"]["nightly_recrawl"]["defaults"]["min_change_percent"] == 1


@pytest.mark.parametrize("dag", DAGS)
def test_nothing_is_caught_up(parsed: dict[str, Any], dag: str) -> None:
    assert parsed["dags"][dag]["catchup"] is False


def test_a_night_is_what_the_settings_say(tmp_path: Path) -> None:
    night = parse(
        PROJECT / "dags",
        tmp_path,
        NIGHT_SCHEDULE="30 23 * * 1-5",
        NIGHT_TIMEZONE="Europe/Paris",
        NIGHT_LANGUAGES='["fr", "oc"]',
        NIGHT_SOURCE="tatoeba",
        NIGHT_MIN_CHANGE_PERCENT="2.5",
        NIGHT_FORM='{"epochs": 30, "ask_before_promoting": true}',
        APPROVAL_HOURS="8",
    )["dags"]["nightly_recrawl"]
    assert night["schedule"] == "30 23 * * 1-5"
    paris = datetime.fromisoformat(night["next"]).astimezone(ZoneInfo("Europe/Paris"))
    assert (paris.hour, paris.minute) == (23, 30)
    wanted = {"languages": ["fr", "oc"], "source": "tatoeba", "min_change_percent": 2.5, "epochs": 30}
    wanted |= {"ask_before_promoting": True, "approval_hours": 8}
    assert night["defaults"] == night["defaults"] | wanted


def test_without_a_schedule_no_night_starts(tmp_path: Path) -> None:
    parsed = parse(PROJECT / "dags", tmp_path, NIGHT_SCHEDULE="")
    assert parsed["dags"]["nightly_recrawl"]["next"] is None


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("NIGHT_SCHEDULE", "every night", "5, 6 or 7 columns"),
        ("NIGHT_FORM", '{"epoch": 3}', "The form has no field 'epoch'"),
        ("NIGHT_FORM", '{"epochs": 0}', "0 is less than the minimum of 1"),
    ],
)
def test_a_night_that_cannot_be_is_an_import_error_that_says_why(
    tmp_path: Path, setting: str, value: str, told: str
) -> None:
    errors = parse(PROJECT / "dags", tmp_path, **{setting: value})["errors"]
    (error,) = [text for file, text in errors.items() if file.endswith("nightly_recrawl.py")]
    assert told in error
