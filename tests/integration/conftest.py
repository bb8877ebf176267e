"""A whole local deployment: S3, MLflow, a demo site and Airflow, on free ports, with a home of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from langaudio import services
from langaudio.demo.site import build_synthetic
from langaudio.services.airflow_api import AirflowApi
from langaudio.settings import settings
from langaudio.store import default_store
from tests.conftest import free_port

LANGUAGES = ["de", "fr", "ru"]


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of running services. What the services need is in the environment while they live."""
    home = tmp_path_factory.mktemp("deployment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGAUDIO_HOME", str(home))
        for name in ("AIRFLOW", "S3", "MLFLOW", "DEMO"):
            patch.setenv(f"LANGAUDIO_{name}_PORT", str(free_port()))
        _forget_cached()
        try:
            services.up(lambda: build_synthetic(home / "site", LANGUAGES, speakers=5, clips=15), print)
            yield home
        finally:
            # Also what came up too late.
            services.down(print)
    _forget_cached()


@pytest.fixture
def airflow(home: Path) -> AirflowApi:
    assert os.environ["LANGAUDIO_HOME"] == str(home)
    return AirflowApi()


def _forget_cached() -> None:
    settings.cache_clear()
    default_store.cache_clear()
