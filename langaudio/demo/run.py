"""The demo: everything from a site to identified clips, triggered through Airflow's public API.

What was measured is told at the end, and kept in ``<home>/demo.json``.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from langaudio import catalog, report, services
from langaudio.augment.shards import read_index
from langaudio.demo import contents
from langaudio.demo.corpus import made_with
from langaudio.demo.site import build_from_corpus, build_synthetic
from langaudio.errors import LangaudioError, Unavailable
from langaudio.serve.report import identification_table
from langaudio.services import config
from langaudio.services.airflow_api import AirflowApi
from langaudio.settings import settings
from langaudio.store import Store, default_store, keys

if TYPE_CHECKING:
    from langaudio.serve import Identification

DAG = "language_audio"
LEAST_MACRO_F1 = 0.90
"""Below this on synthetic voices something is broken. Real recordings have no threshold."""

_STAGES = ("crawl", "upload", "augment", "check", "train", "evaluate", "promote")


def run(corpus: Path | None, epochs: int) -> None:
    """Start the services, run the whole chain, and tell what came of it.

    Exits with 1 if a task failed, or if synthetic voices are told apart worse than ``LEAST_MACRO_F1``.

    Raises:
        LangaudioError: the services run with another site, or what ``services.up`` and the builders of sites
            raise; or a service ended by itself.
    """
    console = Console(soft_wrap=True)
    try:
        _run(corpus, epochs, console)
    except Unavailable as error:
        if services.death_note(settings().home):
            raise services.ended(settings().home) from error
        raise


def _run(corpus: Path | None, epochs: int, console: Console) -> None:
    begin = time.monotonic()
    site = settings().home / "site"

    def build_site() -> None:
        console.print("Building the demo site …")
        if corpus is None:
            build_synthetic(site)
        else:
            build_from_corpus(site, corpus)

    if services.running(settings().home):
        _check_site(site, corpus)
    services.up(build_site, console.print)
    console.print(report.services_table())
    languages = sorted({entry.language for entry in contents.read(site)})
    api = AirflowApi()
    api.wait_for_dag(DAG)
    with _MemoryWatch() as memory:
        state, run_id = _run_dag(api, console, _form(languages, epochs))
    instances = api.task_instances(DAG, run_id)
    if state != "success":
        _tell_failures(api, console, instances, languages)
        console.print(f"[red]The run failed.[/red] Its page: {api.url}/dags/{DAG}/runs/{run_id}")
        sys.exit(1)
    result = _result(api, run_id, instances, languages)
    # What was highest between two looks is known to the task alone.
    result["peak_rss_mib"] = max(
        memory.peak_mib, *(stage["peak_rss_mib"] for stage in result["stages"].values())
    )
    result["demo_s"] = round(time.monotonic() - begin, 1)
    (settings().home / "demo.json").write_text(json.dumps(result, indent=1))
    _tell(console, result)
    _tell_of_services(console, corpus)
    if corpus is None and result["macro_f1"] < LEAST_MACRO_F1:
        console.print(f"[red]macro-F1 {result['macro_f1']:.3f} is below {LEAST_MACRO_F1}.[/red]")
        sys.exit(1)


def _check_site(site: Path, corpus: Path | None) -> None:
    """Refuse to show a site as another: the one that is being served cannot be built anew."""
    wanted = {"kind": "synthetic"} if corpus is None else made_with(corpus)
    served = contents.made_with(site)
    if {name: served.get(name) for name in wanted} != wanted:
        raise LangaudioError(
            "The demo site that is being served has other recordings: stop it with `make down` first, or set "
            "LANGAUDIO_HOME to another folder and other ports."
        )


def _form(languages: list[str], epochs: int) -> dict[str, Any]:
    return {
        "languages": languages,
        "source": "demo",
        "copies": 2,
        # The demo's languages have some minutes each: with the default they all would get four times more.
        "balance_minutes": 2.5,
        "epochs": epochs,
    }


def _run_dag(api: AirflowApi, console: Console, form: dict[str, Any]) -> tuple[str, str]:
    """Trigger the DAG and tell what its tasks do until it has ended."""
    run_id = api.trigger(DAG, form)
    console.print(f"\nRun [bold]{run_id}[/bold]: {api.url}/dags/{DAG}/runs/{run_id}")
    begin = time.monotonic()
    training: dict[str, Any] | None = None
    told = 0
    for changed in api.follow(DAG, run_id):
        training = next((one for one in changed if one["task_id"] == "train"), training)
        if training and training["state"] in ("running", "success", "failed"):
            epochs = [line for line in api.log_lines(training) if line.startswith("epoch ")]
            for line in epochs[told:]:
                console.print(f"{time.monotonic() - begin:6.1f} s    {line}", style="dim", highlight=False)
            told = len(epochs)
            # Once more after its end, for the last epochs.
            training = training if training["state"] == "running" else None
        for instance in changed:
            _tell_state(console, instance, form["languages"], time.monotonic() - begin)
    return str(api.run(DAG, run_id)["state"]), run_id


_STYLES = {
    "running": "cyan",
    "success": "green",
    "failed": "red",
    "up_for_retry": "yellow",
    "skipped": "magenta",
    "upstream_failed": "red",
}


def _tell_state(console: Console, instance: dict[str, Any], languages: list[str], seconds: float) -> None:
    state = instance["state"]
    if state in _STYLES:
        took = f" in {instance['duration']:.1f} s" if instance["duration"] and state != "running" else ""
        styled = f"[{_STYLES[state]}]{state}[/{_STYLES[state]}]"
        console.print(f"{seconds:6.1f} s  {_name(instance, languages):20} {styled}{took}", highlight=False)


def _name(instance: dict[str, Any], languages: list[str]) -> str:
    """Name a task, and its language: Airflow itself knows that of a mapped task only once it runs."""
    task, index = str(instance["task_id"]), instance["map_index"]
    stage = task.removeprefix("language.")
    if index < 0:
        return stage
    if stage != task:  # of the group, which is mapped over the languages
        return f"{stage} {languages[index]}"
    return f"{stage} {instance['rendered_map_index'] or index}"


def _tell_failures(
    api: AirflowApi, console: Console, instances: list[dict[str, Any]], languages: list[str]
) -> None:
    for instance in instances:
        if instance["state"] == "failed":
            console.print(f"[red]{_name(instance, languages)}[/red], the end of its log:")
            for line in api.log_lines(instance)[-5:]:
                console.print(f"  {line}", highlight=False, markup=False)


def _result(
    api: AirflowApi, run_id: str, instances: list[dict[str, Any]], languages: list[str]
) -> dict[str, Any]:
    """Gather what the tables and ``demo.json`` tell."""
    reports = {
        (one["task_id"].removeprefix("language."), one["map_index"]): api.xcom(one) for one in instances
    }
    stages = {}
    for stage in _STAGES:
        of_stage = [found for (name, _), found in reports.items() if name == stage]
        stages[stage] = {
            "tasks": len(of_stage),
            "seconds": round(sum(found["seconds"] for found in of_stage), 1),
            "peak_rss_mib": max(found["peak_rss_mib"] for found in of_stage),
        }
    dag_run = api.run(DAG, run_id)
    recipe_id = next(found["recipe_id"] for (name, _), found in reports.items() if name == "augment")
    evaluated, promoted = reports["evaluate", -1], reports["promote", -1]
    return {
        "dag_run_s": round(dag_run["duration"], 1),
        "macro_f1": evaluated["macro_f1"],
        "accuracy": evaluated["accuracy"],
        "languages": {code: _corpus_row(default_store(), code, recipe_id) for code in languages},
        "stages": stages,
        "mlflow_run": evaluated["run_id"],
        "model": promoted,
    }


def _corpus_row(store: Store, language: str, recipe_id: str) -> dict[str, Any]:
    clips = catalog.read(store, language, ["speaker_id", "speech_s"])
    index = read_index(store, recipe_id, language)
    return {
        "clips": clips.num_rows,
        "speakers": pc.count_distinct(clips["speaker_id"]).as_py(),
        "minutes": round(pc.sum(clips["speech_s"]).as_py() / 60, 1),
        "copies": pc.sum(pc.greater(index["copy"], 0)).as_py(),
        "quarantined": len(catalog.quarantined(store, language)),
    }


def _identify_unheard(store: Store, languages: list[str]) -> list[tuple[str, Identification]]:
    """Ask the champion about a clip of a test speaker, in three languages."""
    from langaudio.serve import identify, load_champion

    champion = load_champion()
    folder = settings().home / "identified"
    folder.mkdir(exist_ok=True)
    answers = []
    for language in languages[:3]:
        clips = catalog.read(store, language, ["clip_id", "split"])
        clip_id = clips.filter(pc.field("split") == "test")["clip_id"][0].as_py()
        file = folder / f"{language}-{clip_id[:12]}.mp3"
        file.write_bytes(store.get(keys.raw(language, clip_id, "mp3")))
        answers.append((file.name, identify(file, champion)))
    return answers


def _tell(console: Console, result: dict[str, Any]) -> None:
    languages = list(result["languages"])
    corpus = Table(title="The corpus", title_justify="left")
    columns = ("clips", "speakers", "minutes", "copies", "quarantined")
    for column in ("language", *columns):
        corpus.add_column(column, justify="left" if column == "language" else "right")
    for language, row in result["languages"].items():
        corpus.add_row(language, *(str(row[column]) for column in columns))
    console.print("", corpus)

    cost = Table(title="What it cost", title_justify="left")
    for column in ("stage", "tasks", "seconds", "peak MiB"):
        cost.add_column(column, justify="left" if column == "stage" else "right")
    for stage, row in result["stages"].items():
        cost.add_row(stage, str(row["tasks"]), f"{row['seconds']:.1f}", str(row["peak_rss_mib"]))
    console.print("", cost)
    console.print(
        f"The DAG run took {result['dag_run_s']:.0f} s, everything {result['demo_s']:.0f} s; "
        f"the largest process had {result['peak_rss_mib']} MiB."
    )

    console.print(f"\n[bold]macro-F1 {result['macro_f1']:.3f}[/bold] on speakers that were not trained on.")
    model = result["model"]
    console.print(f"Version {model['version']} of the model is {model['alias']}: {model['reason']}")
    console.print(f"Model and pictures: {settings().mlflow_uri}/#/models/{settings().bucket}")
    console.print("", identification_table(_identify_unheard(default_store(), languages)))


def _tell_of_services(console: Console, corpus: Path | None) -> None:
    password_file, _ = config.password(settings())
    stop = "make down" if corpus is None else f"make down CORPUS={corpus}"
    console.print(
        f"\nThe services go on running (Airflow: http://127.0.0.1:{settings().airflow_port}, login: admin, "
        f"password in {report.shown(password_file)}); `{stop}` stops them."
    )


class _MemoryWatch:
    """Watches all local services and tasks, and keeps the largest resident memory of any one process."""

    def __init__(self) -> None:
        self.peak_mib = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        root = psutil.Process(int((settings().home / "supervisord.pid").read_text()))
        while not self._done.wait(0.5):
            for process in root.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.peak_mib = max(self.peak_mib, process.memory_info().rss // 2**20)
