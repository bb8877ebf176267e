"""Starting the local services: what is refused before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from langaudio import services
from langaudio.errors import LangaudioError
from langaudio.settings import settings
from tests.conftest import free_port


def never() -> None:
    raise AssertionError("nothing is to be prepared")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = tmp_path / "home"
    monkeypatch.setenv("LANGAUDIO_HOME", str(home))
    for name in ("AIRFLOW", "S3", "MLFLOW", "DEMO"):
        monkeypatch.setenv(f"LANGAUDIO_{name}_PORT", str(free_port()))
    settings.cache_clear()
    yield home
    settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "title"), [("AIRFLOW", "Airflow"), ("S3", "S3"), ("MLFLOW", "MLflow"), ("DEMO", "Demo site")]
)
def test_a_taken_port_is_told_with_its_setting(home: Path, name: str, title: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", getattr(settings(), f"{name.lower()}_port")))
        other.listen()
        with pytest.raises(LangaudioError, match=rf"which {title} wants, is taken.*LANGAUDIO_{name}_PORT"):
            services.up(never, print)
    assert not home.exists()


def test_a_path_too_long_for_a_socket_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_HOME", str(home / ("x" * 90)))
    settings.cache_clear()
    with pytest.raises(LangaudioError, match="too long for a socket: set LANGAUDIO_HOME"):
        services.up(never, print)
    assert not home.exists()


def test_nothing_that_runs_is_nothing_to_stop(home: Path) -> None:
    told: list[str] = []
    services.down(told.append)
    assert told == [f"No services of {home} are running."]
