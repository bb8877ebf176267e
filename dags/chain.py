"""The pieces that all DAGs are made of: the tasks, and the chain that joins them.

Tasks hand over short values only: language tags, run ids and counts. Everything else goes through the bucket.
Nothing heavy is imported here, because DAG files are parsed again and again.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import notices
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    Asset,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    TriggerRule,
    get_current_context,
    task,
    task_group,
)
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout
from airflow.sdk.log import mask_secret
from approval import Approval

from langaudio import backfill, stages
from langaudio.errors import LangaudioError, Unavailable
from langaudio.outcome import LanguageOutcome, Outcome
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
    "execution_timeout": timedelta(minutes=30),
    # What is wrong stays wrong; what is away may come back.
    "retry_policy": ExceptionRetryPolicy(
        [
            RetryRule(Unavailable, RetryAction.RETRY, reason="It may answer later."),
            RetryRule(LangaudioError, RetryAction.FAIL, reason="The same input gives the same error."),
        ]
    ),
}

_WHY = "why"
"""The XCom by which a task that fails, or has nothing to do, says why."""

_STAGES = ("crawl", "upload", "augment")
_COMMON = ("preview", "parts", "check", "train", "evaluate", "approve", "promote")
_FAILED = ("failed", "up_for_retry")


@task
def plan(params: Any = None) -> list[str]:
    """Check the form before anything is fetched."""
    return _planned(params, lambda *chosen: stages.plan(*chosen))


@task
def plan_known(params: Any = None) -> list[str]:
    """Take all languages that the corpus has."""
    return _planned(params, lambda *chosen: stages.plan_known(*chosen))


@task
def plan_backfill(params: Any = None) -> list[str]:
    """Take those of the chosen languages that the corpus lacks, or has, as the form says what to do."""
    options = {name: params[name] for name in ("recipe", "seed")}
    return _planned(params, lambda *chosen: stages.plan_backfill(params["work"], *chosen, **options))


@task(pool="crawl", queue="crawl", execution_timeout=timedelta(hours=2))
def preview(codes: Any, params: Any = None, run_id: Any = None) -> dict[str, Any]:
    """Tell what will be fetched, before anything is."""
    if params["work"] != backfill.BRING_IN:
        log.info("No new language is brought in; recordings that are known are not fetched again.")
        return {"clips": 0, "pages": 0, "expected_s": 0}
    options = {"source": params["source"], "limit": params["limit"], "location": params["location"] or ""}
    found = []
    for code in codes:
        try:
            forecast = _run(functools.partial(stages.survey, code, run=run_id, **options))
        except Unavailable:
            raise
        except LangaudioError:
            continue  # it is in the log; the language's own crawl will say so again, and fail alone
        log.info("%s: %d clips and %d pages, about %s", *_forecast(code, forecast))
        found.append(forecast)
    total = {name: sum(one[name] for one in found) for name in ("clips", "pages", "expected_s")}
    log.info("All: %d clips and %d pages, about %s", *_forecast("all", total)[1:])
    return total


@task(pool="crawl", queue="crawl", map_index_template="{{ language }}", execution_timeout=timedelta(hours=24))
def crawl(language: str, params: Any = None, run_id: Any = None, dag_run: Any = None) -> dict[str, Any]:
    """Fetch the new clips of a language into staging."""
    _name_map_index(language)
    work = params.get("work", backfill.BRING_IN)
    if work == backfill.AUGMENT_AGAIN:
        raise AirflowSkipException("The source is not asked: the form says to work from the bucket.")
    options = {name: params[name] for name in ("source", "limit")}
    options["full"] = params["full"] or work == backfill.READ_AGAIN
    options["location"] = params["location"] or ""
    return _run(lambda: stages.crawl(language, run=run_id, at=dag_run.start_date, **options))


@task(
    pool="cpu",
    queue="cpu",
    map_index_template="{{ language }}",
    outlets=[RAW],
    execution_timeout=timedelta(hours=12),
)
def upload(
    language: str, params: Any = None, run_id: Any = None, outlet_events: Any = None, ti: Any = None
) -> dict[str, Any]:
    """Publish the good clips of a language, quarantine the bad."""
    _name_map_index(language)
    report = _run(lambda: stages.upload(language, source=params["source"], run=run_id))
    # The log has the pairs; there may be thousands.
    report["same_recording"] = len(report["same_recording"])
    report["language"] = language
    news = any(report[name] for name in ("published", "changed", "gone", "quarantined"))
    _tell_partition(outlet_events[RAW], language, news, ti)
    return report


@task(
    pool="augment",
    queue="cpu",
    map_index_template="{{ language }}",
    outlets=[AUGMENTED],
    # A crawl that was not asked for is skipped, and the upload with it.
    trigger_rule=TriggerRule.NONE_FAILED,
    execution_timeout=timedelta(hours=24),
)
def augment(
    language: str, params: Any = None, run_id: Any = None, outlet_events: Any = None, ti: Any = None
) -> dict[str, Any]:
    """Make the copies of a language that are missing; of a large one the first part of them."""
    _name_map_index(language)
    report = _augmented(language, stages.FIRST, params, run_id, outlet_events[AUGMENTED], ti)
    if report["others"]:
        _name_map_index(f"{language} {report['part']}")
    return report


@task(queue="cpu", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def parts(ti: Any = None) -> list[dict[str, str]]:
    """List the other parts of the languages that are too large for one task."""
    # Airflow does not map a task inside a mapped group: the others are mapped here, over all languages.
    return [
        {"language": report["language"], "part": other}
        for report in ti.xcom_pull(task_ids=["language.augment"])
        for other in (report["others"] if report else ())
    ]


@task(
    pool="augment",
    queue="cpu",
    map_index_template="{{ language }}",
    outlets=[AUGMENTED],
    execution_timeout=timedelta(hours=24),
)
def augment_part(
    language: str,
    part: str,
    params: Any = None,
    run_id: Any = None,
    outlet_events: Any = None,
    ti: Any = None,
) -> dict[str, Any]:
    """Make the copies of another part of a large language that are missing."""
    _name_map_index(f"{language} {part}")
    return _augmented(language, part, params, run_id, outlet_events[AUGMENTED], ti)


@task(queue="cpu")
def check() -> dict[str, Any]:
    """Check the bucket before anything is learned from it: rows, objects, the split, shards."""
    return _run(stages.check)


@task(pool="train", queue="train", execution_timeout=timedelta(hours=48))
def train(plan_task: str, params: Any = None, ti: Any = None) -> dict[str, Any]:
    """Train on all the languages that are ready, if enough has changed."""
    # Pulled, not passed: a plan that went well must not count as a language that did.
    wanted = ti.xcom_pull(task_ids=plan_task) if plan_task else None
    options = {name: params[name] for name in ("recipe", "seed")}
    if least := params["min_change_percent"]:
        change = _run(lambda: stages.change(wanted, **options))
        if not change["percent"] or change["percent"] < least:
            why = f"Nothing is trained: {change['detail']} A training needs {least:g} %."
            ti.xcom_push(key=_WHY, value=why)
            raise AirflowSkipException(why)
    return _run(lambda: stages.train(wanted, epochs=params["epochs"], **options))


@task(pool="train", queue="train", execution_timeout=timedelta(hours=4))
def evaluate(trained: Any) -> dict[str, Any]:
    """Score the network, and the champion, on the test speakers."""
    return _run(lambda: stages.evaluate(trained["run_id"]))


@task(pool="train", queue="train", outlets=[MODELS], execution_timeout=timedelta(hours=4))
def promote(evaluated: Any, answer: Any) -> dict[str, Any]:
    """Register the network; the champion gives way if it is beaten, or if a person says so."""
    said = {"granted": answer["granted"], "by": answer["by"]} if answer["asked"] else {}
    return _run(lambda: stages.promote(evaluated["run_id"], **said))


@task(trigger_rule=TriggerRule.ALL_DONE)
def report(plan_task: str, ti: Any = None, run_id: Any = None, dag: Any = None) -> dict[str, Any]:
    """Say what came of the run, and fail if a language failed: training and promotion went on without it."""
    outcome = _run(lambda: _outcome(plan_task, ti, dag.dag_id, run_id))
    _run(lambda: notices.tell(outcome.message, dict(get_current_context()), trouble=outcome.in_trouble))
    if outcome.failed or outcome.failures:
        raise _failure(outcome)
    return {
        "headline": outcome.headline,
        "languages": {one.language: one.counts for one in outcome.languages if one.has_news},
        "model": outcome.model,
    }


@task_group
def language(code: str) -> None:
    """Bring one language up to date, apart from all others."""
    crawl(code) >> upload(code) >> augment(code)


def chain(planned: Any, *, train_on_corpus: bool = False, previewed: Any = None) -> None:
    """Join the pieces: every language side by side, then one training for all of them.

    Args:
        planned: the planning task's list of languages.
        train_on_corpus: train on every language of the corpus, not only on the planned ones.
        previewed: a task that comes before the first language.
    """
    plan_task = planned.operator.task_id
    trained = train("" if train_on_corpus else plan_task)
    every_language = language.expand(code=planned)
    if previewed is not None:
        previewed >> every_language
    every_language >> (listed := parts())
    # Nothing but a mark in the graph: Airflow has no rule by which a task goes on if others failed or were
    # skipped, but not without one that succeeded.
    augmented = EmptyOperator(
        task_id="augmented",
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="No part of a language is under way any more.",
    )
    augment_part.expand_kwargs(listed) >> augmented
    [listed, augmented] >> check() >> trained
    evaluated = evaluate(trained)
    approved = Approval(
        task_id="approve",
        evaluated=evaluated,
        propose=lambda of_run: _run(lambda: stages.proposal(of_run)),
        # An answer that comes too early for Airflow's scheduler is lost, and the question is asked again.
        retry_delay=timedelta(seconds=1),
        doc_md="Show the network beside the champion and wait for an answer, if the form says so.",
    )
    promote(evaluated, approved.output) >> report(plan_task)


def _name_map_index(name: str) -> None:
    """Show the language, not a number, as the mapped task's name."""
    # The context is typed as what Airflow puts into it; map_index_template reads what we add.
    get_current_context()["language"] = name  # type: ignore[typeddict-unknown-key]


def _augmented(language: str, part: str, params: Any, run_id: Any, events: Any, ti: Any) -> dict[str, Any]:
    options = {name: params[name] for name in ("recipe", "copies", "balance_minutes", "seed")}
    report = _run(lambda: stages.augment(language, run=run_id, part=part, **options))
    report["reasons"] = dict(list(report["reasons"].items())[:3])  # the log has all
    _tell_partition(events, language, bool(report["written"]), ti)
    return report | {"language": language, "others": stages.other_parts(report["part"])}


def _planned(params: Any, planning: Callable[[list[str], str, str], list[str]]) -> list[str]:
    _run(lambda: stages.check_recipe(params["recipe"]))
    return _run(lambda: planning(params["languages"], params["source"], params["location"] or ""))


def _forecast(name: str, found: dict[str, Any]) -> tuple[str, int, int, str]:
    minutes = round(found["expected_s"] / 60)
    took = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(1, minutes)} min"
    return name, found["clips"], found["pages"], took


def _tell_partition(events: Any, language: str, news: bool, ti: Any) -> None:
    """Name the language in the asset's event, if anything of it has changed: others' DAGs run by that.

    A task that runs again may have done its work before it was cut off.
    """
    if news or ti.try_number > 1:
        events.add_partitions([language])


def _outcome(plan_task: str, ti: Any, dag_id: str, run_id: str) -> Outcome:
    states = ti.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
    codes: list[str] = ti.xcom_pull(task_ids=plan_task) or []
    # Of a list of tasks Airflow gives a list, however many mapped ones there are; None stands for none.
    uploads = ti.xcom_pull(task_ids=["language.upload"])
    reports = {one["language"]: one for one in uploads if one}
    failed = _failed_parts(ti, states)
    for index, code in enumerate(codes):
        for stage in reversed(_STAGES):
            if states.get(f"language.{stage}_{index}") in _FAILED:
                failed[code] = f"{stage} failed: {_reason(ti, f'language.{stage}', index)}"
    languages = [_of_language(code, reports.get(code), failed.get(code, "")) for code in codes]
    tasks = [one for one in (plan_task, *_COMMON) if states.get(one) in _FAILED]
    promoted = ti.xcom_pull(task_ids="promote")
    model = f"Version {promoted['version']} is {promoted['alias']}: {promoted['reason']}" if promoted else ""
    return Outcome(
        run=f"{dag_id}, run {run_id}",
        languages=languages,
        failures={one: _reason(ti, one) for one in tasks},
        model=model or ti.xcom_pull(task_ids="train", key=_WHY, default="") or "",
    )


def _failed_parts(ti: Any, states: dict[str, str]) -> dict[str, str]:
    """Return language → why a part of it failed."""
    listed: list[dict[str, str]] = ti.xcom_pull(task_ids="parts") or []
    return {
        one["language"]: f"augment {one['part']} failed: {_reason(ti, 'augment_part', index)}"
        for index, one in enumerate(listed)
        if states.get(f"augment_part_{index}") in _FAILED
    }


def _of_language(code: str, told: dict[str, Any] | None, why: str) -> LanguageOutcome:
    if told is None:
        return LanguageOutcome(code, failure=why)
    return LanguageOutcome(
        code,
        new=told["published"],
        changed=told["changed"],
        gone=told["gone"],
        quarantined=sum(told["quarantined"].values()),
        clips=stages.present(code) if told["gone"] else None,
        failure=why,
    )


def _reason(ti: Any, task_id: str, index: int = -1) -> str:
    told = ti.xcom_pull(task_ids=task_id, key=_WHY, map_indexes=index)
    return str(told or "it was ended before it could say why; see its log.")


def _failure(outcome: Outcome) -> LangaudioError:
    return LangaudioError(
        f"{outcome.headline} The log above says why. What did not fail is done, and stays; put the cause "
        "right and clear the failed tasks, or let the next run try again."
    )


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
        for secret in (settings().s3_secret_key, settings().speaker_key):
            if secret is not None:
                mask_secret(secret.get_secret_value())
        _use_connection()
        return stage()
    except (Exception, AirflowTaskTimeout) as error:
        if isinstance(error, LangaudioError):
            # The sentence by itself: whoever reads the log need not dig it out of a traceback.
            log.error("%s", error)
        told = str(error) if isinstance(error, LangaudioError) else f"{type(error).__name__}: {error}"
        get_current_context()["ti"].xcom_push(key=_WHY, value=told[:1000])
        raise
