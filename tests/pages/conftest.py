"""The pages, asked in-process and in a browser, of three buckets: empty, small, and large."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from langaudio.pages.access import Person
from langaudio.pages.app import create_app
from langaudio.pages.parts import Parts
from langaudio.promote import promote
from langaudio.settings import Settings
from langaudio.store import Store, default_store
from langaudio.workers import Workers
from tests.conftest import settings_of
from tests.pages import corpora
from tests.serve.test_champion import mlflow_server
from tests.train import spoken

RUNNER, VISITOR = Person("Ada", may_run=True), Person("Victor")


def client_of(app: FastAPI) -> TestClient:
    """Return a client that asks as the pages' own scripts and forms do."""
    return TestClient(app, base_url="http://pages.test", headers={"Sec-Fetch-Site": "same-origin"})


@pytest.fixture(scope="session")
def processes() -> Iterator[tuple[Workers, Workers]]:
    """Child processes that all tests share, because starting one takes a second."""
    pair = Workers(), Workers()
    yield pair
    for workers in pair:
        workers.close()


@pytest.fixture
def configured(
    s3_endpoint: str, mlflow_uri: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Settings]:
    """Settings of a test's own, whose models a server has: a database is asked by a process of MLflow's."""
    bucket = f"test-{abs(hash(request.node.nodeid)):x}"
    with settings_of(s3_endpoint, tmp_path, bucket, MLFLOW_URI=mlflow_uri) as configured:
        yield configured


@pytest.fixture
def parts(processes: tuple[Workers, Workers]) -> Parts:
    """Empty caches."""
    return Parts(processes)


@pytest.fixture
def client(store: Store, parts: Parts) -> TestClient:
    """Somebody who may run the pipeline, looking at an empty bucket."""
    return client_of(create_app(lambda: RUNNER, parts))


@dataclass(frozen=True)
class World:
    """A bucket and a registry that several tests look at."""

    s3_endpoint: str
    folder: Path
    bucket: str
    mlflow_uri: str

    def settings(self) -> AbstractContextManager[Settings]:
        """Return a context in which the settings name this world."""
        return settings_of(self.s3_endpoint, self.folder, self.bucket, MLFLOW_URI=self.mlflow_uri)


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of MLflow."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@pytest.fixture(scope="session")
def empty_world(s3_endpoint: str, mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(s3_endpoint, tmp_path_factory.mktemp("empty"), "pages-empty", mlflow_uri)
    with world.settings():
        default_store().create_bucket()
    return world


@pytest.fixture(scope="session")
def small_world(s3_endpoint: str, mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three languages of four speakers, with hostile words, quarantine, copies and two models."""
    world = World(s3_endpoint, tmp_path_factory.mktemp("small"), "pages-small", mlflow_uri)
    with world.settings():
        store = default_store()
        store.create_bucket()
        corpora.small(store)
        for answer in ("fr", "de"):
            run_id = spoken.run_of(spoken.constant(["de", "fr", "ru"], answer, sure=1.0), epochs=3, seed=0)
            corpora.log_curves(run_id)
            promote(store, run_id)
    return world


@pytest.fixture(scope="session")
def large_world(s3_endpoint: str, mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    """107 languages with 100,000 clips, and a model that was tested on all of them."""
    world = World(s3_endpoint, tmp_path_factory.mktemp("large"), "pages-large", mlflow_uri)
    with world.settings():
        store = default_store()
        store.create_bucket()
        corpora.register_evaluated(corpora.generated(store))
    return world


@pytest.fixture
def small(small_world: World, parts: Parts) -> Iterator[TestClient]:
    """Somebody who may run the pipeline, looking at the small world."""
    with small_world.settings():
        yield client_of(create_app(lambda: RUNNER, parts))
