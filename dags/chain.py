"""The pieces that all DAGs are made of: parameters, tasks, and the chain that joins them.

Tasks hand over short values only: language tags and run ids. Everything else goes through the bucket.
Nothing heavy is imported here, because DAG files are parsed again and again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    TriggerRule,
    get_current_context,
    task,
    task_group,
)
from airflow.sdk.exceptions import AirflowSkipException

from langaudio import languages, stages
from langaudio.crawl.sources import SOURCES
from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings

log = logging.getLogger(__name__)

# Names without a URI: for a URI's scheme Airflow would load all its providers at every parse.
RAW = Asset("langaudio_raw")
AUGMENTED = Asset("langaudio_augmented")
MODELS = Asset("langaudio_models")

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "langaudio",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=12),
    # What is wrong stays wrong; what is away may come back.
    "retry_policy": ExceptionRetryPolicy(
        [
            RetryRule(Unavailable, RetryAction.RETRY, reason="It may answer later."),
            RetryRule(LangaudioError, RetryAction.FAIL, reason="The same input gives the same error."),
        ]
    ),
}


def params(**defaults: Any) -> dict[str, Param]:
    """Return the parameters of the chain; ``defaults`` replaces the value that a form starts with."""
    fields = {
        "languages": Param(
            ["fr", "en", "de", "es", "ru", "zh"],
            type="array",
            items={"type": "string"},
            examples=sorted(languages.LANGUAGES),
            values_display={
                code: f"{language.name} ({code})" for code, language in languages.LANGUAGES.items()
            },
            title="Languages",
            description="The languages to crawl and to tell apart.",
            section="Corpus",
        ),
        "source": Param(
            "audio_lingua",
            type="string",
            enum=list(SOURCES),
            values_display={source.name: source.title for source in SOURCES.values()},
            title="Source",
            description="Where the clips come from.",
            section="Corpus",
        ),
        "limit": Param(
            0,
            type="integer",
            minimum=0,
            title="Clips per language",
            description="Look at the newest clips only; 0 means all.",
            section="Corpus",
        ),
        "full": Param(
            False,
            type="boolean",
            title="Walk the whole list",
            description="Otherwise a crawl ends at clips that it knows, but for one full walk a week.",
            section="Corpus",
        ),
        "location": Param(
            None,
            type=["null", "string"],  # the form does not let an empty text pass
            title="Folder or s3:// prefix",
            description="What the source `corpus` reads; empty: LANGAUDIO_CORPUS.",
            section="Corpus",
        ),
        "recipe": Param(
            "default",
            type="string",
            examples=stages.recipes(),
            title="Augmentation recipe",
            description="Name of a packaged recipe; or path or s3:// address of one of your own, which all "
            "workers can read (docs/recipes.md).",
            section="Augmentation",
        ),
        "copies": Param(
            2,
            type="integer",
            minimum=0,
            maximum=50,
            title="Copies",
            description="Augmented copies of each training segment.",
            section="Augmentation",
        ),
        "balance_minutes": Param(
            30,
            type="number",
            minimum=0,
            title="Balance to (minutes)",
            description="A language with less training speech than this gets more copies, up to four times.",
            section="Augmentation",
        ),
        "epochs": Param(
            12,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Epochs",
            description="Passes over the training speech.",
            section="Training",
        ),
        "train_if_unchanged": Param(
            True,
            type="boolean",
            title="Train even if nothing is new",
            description="Otherwise a corpus that the champion was trained on is not trained on again.",
            section="Training",
        ),
        "seed": Param(
            0, type="integer", minimum=0, title="Seed", description="Of all random draws.", section="Training"
        ),
    }
    for name, value in defaults.items():
        fields[name].value = value
    return fields


@task
def plan(params: Any = None) -> list[str]:
    """Check the form before anything is fetched."""
    return _planned(stages.plan, params)


@task
def plan_known(params: Any = None) -> list[str]:
    """Take all languages that the corpus has."""
    return _planned(stages.plan_known, params)


@task
def plan_lacking(params: Any = None) -> list[str]:
    """Take those of the chosen languages that the corpus lacks."""
    return _planned(stages.plan_lacking, params)


@task(pool="crawl", queue="crawl", map_index_template="{{ language }}")
def crawl(language: str, params: Any = None, run_id: Any = None, dag_run: Any = None) -> dict[str, Any]:
    """Fetch the new clips of a language into staging."""
    _name_map_index(language)
    options = {name: params[name] for name in ("source", "limit", "full")}
    options["location"] = params["location"] or ""
    return _run(lambda: stages.crawl(language, run=run_id, at=dag_run.start_date, **options))


@task(pool="cpu", queue="cpu", map_index_template="{{ language }}", outlets=[RAW])
def upload(
    language: str, params: Any = None, run_id: Any = None, outlet_events: Any = None
) -> dict[str, Any]:
    """Publish the good clips of a language, quarantine the bad."""
    _name_map_index(language)
    report = _run(lambda: stages.upload(language, source=params["source"], run=run_id))
    outlet_events[RAW].add_partitions([language])
    return report


@task(pool="augment", queue="cpu", map_index_template="{{ language }}", outlets=[AUGMENTED])
def augment(
    language: str, params: Any = None, run_id: Any = None, outlet_events: Any = None
) -> dict[str, Any]:
    """Make the copies of a language that are missing."""
    _name_map_index(language)
    options = {name: params[name] for name in ("recipe", "copies", "balance_minutes", "seed")}
    report = _run(lambda: stages.augment(language, run=run_id, **options))
    outlet_events[AUGMENTED].add_partitions([language])
    return report


@task(queue="cpu", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def check() -> dict[str, Any]:
    """Check the bucket before anything is learned from it: rows, objects, the split, shards."""
    return _run(stages.check)


@task(pool="train", queue="train")
def train(plan_task: str, params: Any = None, ti: Any = None) -> dict[str, Any]:
    """Train on all the languages that are ready."""
    # Pulled, not passed: a plan that went well must not count as a language that did.
    wanted = ti.xcom_pull(task_ids=plan_task) if plan_task else None
    options = {name: params[name] for name in ("recipe", "epochs", "seed")}
    if not params["train_if_unchanged"] and not _run(lambda: stages.changed(wanted, **options)):
        raise AirflowSkipException("Nothing new: the champion was trained on just this corpus.")
    return _run(lambda: stages.train(wanted, **options))


@task(pool="train", queue="train")
def evaluate(trained: Any) -> dict[str, Any]:
    """Score the network, and the champion, on the test speakers."""
    return _run(lambda: stages.evaluate(trained["run_id"]))


@task(pool="train", queue="train", outlets=[MODELS])
def promote(evaluated: Any) -> dict[str, Any]:
    """Register the network; the champion gives way if it is beaten."""
    return _run(lambda: stages.promote(evaluated["run_id"]))


@task_group
def language(code: str) -> None:
    """Bring one language up to date, apart from all others."""
    crawl(code) >> upload(code) >> augment(code)


def chain(planned: Any, *, train_on_corpus: bool = False) -> None:
    """Join the pieces: every language side by side, then one training for all of them.

    Args:
        planned: the planning task's list of languages.
        train_on_corpus: train on every language of the corpus, not only on the planned ones.
    """
    trained = train("" if train_on_corpus else planned.operator.task_id)
    language.expand(code=planned) >> check() >> trained
    promote(evaluate(trained))


def _name_map_index(code: str) -> None:
    """Show the language, not a number, as the mapped task's name."""
    # The context is typed as what Airflow puts into it; map_index_template reads what we add.
    get_current_context()["language"] = code  # type: ignore[typeddict-unknown-key]


def _planned(planning: Callable[[list[str], str, str], list[str]], params: Any) -> list[str]:
    _run(lambda: stages.check_recipe(params["recipe"]))
    return _run(lambda: planning(params["languages"], params["source"], params["location"] or ""))


def _use_connection() -> None:
    """Hand the library an S3 client made from an Airflow connection, if LANGAUDIO_AWS_CONN_ID names one."""
    name = settings().aws_conn_id
    if name:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        from langaudio.store.client import client_config, use_client

        endpoint = S3Hook(name).conn_config.get_service_endpoint_url("s3")
        use_client(S3Hook(name, config=client_config(custom_endpoint=bool(endpoint))).get_conn())


def _run(stage: Callable[[], Any]) -> Any:
    try:
        _use_connection()
        return stage()
    except LangaudioError as error:
        # The sentence by itself: whoever reads the log need not dig it out of a traceback.
        log.error("%s", error)
        raise
