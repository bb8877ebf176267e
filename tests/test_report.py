"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from langaudio import catalog, report, services
from langaudio.settings import Settings
from langaudio.store import Store
from tests.conftest import free_port
from tests.test_catalog import row


def shown(table: object, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_the_corpus_fits_a_terminal_of_80_columns(store: Store) -> None:
    rows = [row("aa", last_seen=datetime(2026, 11, 24, tzinfo=UTC)), row("bb", speaker_id="other")]
    catalog.write_part(store, "fr", "run", rows)
    text = shown(report.catalog_table(store, None), width=80)
    assert "…" not in text
    assert "fr" in text
    for column in ("Speakers", "Refused", "Last seen"):
        assert column in text


def test_services_are_shown_with_address_and_login_but_no_password(configured: Settings) -> None:
    (configured.home / "airflow").mkdir(parents=True)
    (configured.home / "airflow" / "passwords.json").write_text('{"admin": "a-secret-word"}')
    text = shown(report.services_table())
    for service in services.listening(configured):
        assert service.url in text
    assert "admin" in text
    assert str(configured.home) in text
    assert "a-secret-word" not in text


def test_a_service_that_is_away_is_not_shown_as_well(configured: Settings, serve: Callable[..., str]) -> None:
    (configured.home / "airflow").mkdir(parents=True)
    (configured.home / "airflow" / "passwords.json").write_text('{"admin": "a-secret-word"}')
    site = serve(Starlette(routes=[Route("/robots.txt", lambda _: PlainTextResponse(""))]))
    away = Settings(
        airflow_port=free_port(),
        mlflow_port=free_port(),
        s3_port=free_port(),
        demo_port=int(site.split(":")[2]),
    )
    assert {one.title: services.well(one) for one in services.listening(away)} == {
        "Airflow": False, "MLflow": False, "S3": False, "Demo site": True,
    }  # fmt: skip
    assert "does not answer" in shown(report.services_table())


def test_a_path_is_shown_from_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert report.shown(tmp_path / "home" / "settings.env") == "home/settings.env"
    assert report.shown(Path("/elsewhere/file")) == "/elsewhere/file"
