"""The pages, asked in-process, and in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, sync_playwright

from langaudio.pages.access import Person
from langaudio.pages.app import create_app
from langaudio.pages.parts import Parts
from langaudio.settings import Settings
from langaudio.store import Store
from langaudio.workers import Workers
from tests.train import spoken

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

RUNNER, VISITOR = Person("Ada", may_run=True), Person("Victor")


@pytest.fixture(scope="session")
def processes() -> Iterator[tuple[Workers, Workers]]:
    """Child processes that all tests share, because starting one takes a second."""
    pair = Workers(), Workers()
    yield pair
    for workers in pair:
        workers.close()


def client_of(app: FastAPI) -> TestClient:
    """Return a client that asks as the pages' own scripts and forms do."""
    return TestClient(app, base_url="http://pages.test", headers={"Sec-Fetch-Site": "same-origin"})


@pytest.fixture
def client(store: Store, configured: Settings, processes: tuple[Workers, Workers]) -> Iterator[TestClient]:
    """Somebody who may run the pipeline, looking at an empty bucket."""
    spoken.prepare_mlflow(configured)
    return client_of(create_app(lambda: RUNNER, Parts(*processes)))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("There is no Chromium: install it (on Debian: apt install chromium) to try the pages.")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()
