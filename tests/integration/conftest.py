"""A whole local deployment: S3, MLflow, a demo site and Airflow, on free ports, with a home of its own.

All tests of this folder share it. Beside the project's DAGs it runs the example of ``docs/airflow.md``;
another site stands for audio-lingua; what came of a run is told in a file; a night is late after a second.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from langaudio import services
from langaudio.demo import casting
from langaudio.demo.site import app, build_synthetic
from langaudio.languages import section
from langaudio.services.airflow_api import AirflowApi
from langaudio.services.config import PROJECT
from langaudio.settings import settings
from langaudio.speakers import speaker_id, split_of
from tests.conftest import forget_cached, free_port, served
from tests.integration.story import Instances, cli

LANGUAGES = ["de", "fr", "ru"]
"""What the demo site has."""

MORE = "es"
"""What the other site has, which stands for audio-lingua."""

REFUSED = "de"
REFUSING_LINE = f"Disallow: /spip.php?rubrique{section(REFUSED, 'audio_lingua')}"

VIEWER = "victor"
"""Somebody who may look, and nothing else."""


_SPEAKERS = 5


@pytest.fixture(scope="package")
def other_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site that has one language, and does not want another one's list to be read."""
    folder = tmp_path_factory.mktemp("other") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGAUDIO_SPEAKER_KEY", speaker_key())
        forget_cached()
        build_synthetic(folder, [MORE], speakers=_SPEAKERS, clips=15)
    forget_cached()
    rules = PlainTextResponse(f"User-agent: *\n{REFUSING_LINE}\n")
    with served(Starlette(routes=[Route("/robots.txt", lambda _: rules), Mount("/", app(folder))])) as url:
        yield url


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory, other_site: str) -> Iterator[Path]:
    """The home of running services. What the services need is in the environment while they live."""
    home = tmp_path_factory.mktemp("deployment")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(home, other_site).items():
            patch.setenv(name, value)
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", f"admin:admin,{VIEWER}:viewer")
        forget_cached()
        try:
            services.up(
                lambda: build_synthetic(home / "site", LANGUAGES, speakers=_SPEAKERS, clips=15), print
            )
            yield home
        finally:
            # Also what came up too late.
            services.down(print)
    forget_cached()


@pytest.fixture(scope="package")
def demo(home: Path) -> subprocess.CompletedProcess[str]:
    AirflowApi().wait_for_dag("speech_of_a_language")
    return cli("demo", "--epochs", "4")


@pytest.fixture(scope="package")
def first_run(demo: subprocess.CompletedProcess[str]) -> tuple[str, Instances]:
    """The run that the demo triggered: its state, and its task instances."""
    airflow, run_id = AirflowApi(), first_run_id()
    return airflow.run("language_audio", run_id)["state"], airflow.task_instances("language_audio", run_id)


def first_run_id() -> str:
    runs = AirflowApi()._call("GET", "/api/v2/dags/language_audio/dagRuns", params={"order_by": "id"})
    return str(runs["dag_runs"][0]["dag_run_id"])


@pytest.fixture
def airflow(home: Path) -> AirflowApi:
    assert os.environ["LANGAUDIO_HOME"] == str(home)
    return AirflowApi()


def speaker_key() -> str:
    """Return a key by which the other site's speakers are on all sides as audio-lingua's, too.

    A site is cast for the source ``demo``; to another source its speakers are other people.
    """
    for number in itertools.count():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LANGAUDIO_SPEAKER_KEY", key := f"a key for tests {number}")
            settings.cache_clear()
            auteurs = casting.numbers()
            cast = [next(auteurs[side]) for side in casting.sides(_SPEAKERS)]
            found = {split_of(speaker_id("audio_lingua", f"auteur{auteur}")) for auteur in cast}
        if len(found) == 3:
            return key
    raise AssertionError("there is no last number")


def environment(home: Path, other_site: str) -> dict[str, str]:
    # The services keep the key that is there.
    (home / "settings.env").write_text(f"LANGAUDIO_SPEAKER_KEY='{speaker_key()}'\n")
    examples = home / "examples"
    examples.mkdir()
    (examples / "example.py").write_text(documented_example())
    bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": "langaudio", "classpath": bundle, "kwargs": {"path": str(PROJECT / "dags")}},
        {"name": "others", "classpath": bundle, "kwargs": {"path": str(examples)}},
    ]
    return {
        "LANGAUDIO_HOME": str(home),
        **{f"LANGAUDIO_{name}_PORT": str(free_port()) for name in ("AIRFLOW", "S3", "MLFLOW", "DEMO")},
        "LANGAUDIO_SOURCE_ROOTS": json.dumps({"audio_lingua": [f"{other_site}/"]}),
        "LANGAUDIO_NIGHT_SOURCE": "demo",
        "LANGAUDIO_NIGHT_FORM": json.dumps({"copies": 1, "balance_minutes": 0, "epochs": 1}),
        "LANGAUDIO_NIGHT_DEADLINE_HOURS": "0.0003",
        "LANGAUDIO_NOTIFIER": "tests.integration.notifier.ToFile",
        "LANGAUDIO_NOTIFIER_ARGS": json.dumps(
            {"path": str(home / "told.txt"), "text": "{{ message }}\n({{ run_id | default('no task') }})"}
        ),
        "PYTHONPATH": str(PROJECT),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
    }


def documented_example() -> str:
    """Return the DAG that docs/airflow.md shows."""
    found = re.search(r"```python\n(.*?)```", (PROJECT / "docs" / "airflow.md").read_text(), re.DOTALL)
    assert found
    return found[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of the story into its order; the services' own tests stop them, and come last."""
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    told = iter(sorted(ours, key=lambda item: _STORY.index(item.path.name)))
    items[:] = [next(told) if item in ours else item for item in items]


_STORY = (
    "test_demo.py",
    "test_forms.py",
    "test_nights.py",
    "test_runs.py",
    "test_backfills.py",
    "test_pages.py",
    "test_services.py",
)
