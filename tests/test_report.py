"""Tables for the terminal."""

from __future__ import annotations

from rich.console import Console

from langaudio import report, services
from langaudio.identify import Identification
from langaudio.settings import Settings


def shown(table: object) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_an_answer_shows_the_language_by_name_and_the_next_two() -> None:
    answer = Identification({"fr": 0.7, "oc": 0.2, "es": 0.06, "it": 0.04}, speech_s=3.0, version=1)
    (line,) = [
        line
        for line in shown(report.identification_table([("a.mp3", answer)])).splitlines()
        if "a.mp3" in line
    ]
    assert "French (fr)" in line
    assert "70.0%" in line
    assert "oc 20.0%, es 6.0%" in line
    assert "it 4.0%" not in line


def test_no_speech_is_said_plainly() -> None:
    assert "no speech" in shown(report.identification_table([("a.mp3", Identification({}, 0.0, 1))]))


def test_services_are_shown_with_address_and_login_but_no_password(configured: Settings) -> None:
    (configured.home / "airflow").mkdir(parents=True)
    (configured.home / "airflow" / "passwords.json").write_text('{"admin": "a-secret-word"}')
    text = shown(report.services_table())
    for service in services.listening(configured):
        assert service.url in text
    assert "admin" in text
    assert str(configured.home) in text
    assert "a-secret-word" not in text
