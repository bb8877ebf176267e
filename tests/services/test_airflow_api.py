"""What Airflow's API answers when its database is busy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from langaudio.errors import Unavailable
from langaudio.services import airflow_api
from langaudio.services.airflow_api import AirflowApi
from tests.conftest import served

BUSY = {"detail": {"reason": "Database error", "statement": "hidden", "message": "Serious error"}}
"""What Airflow 3.3.2 answers where SQLite says that the database is locked."""


@contextmanager
def airflow(answers: list[Response]) -> Iterator[AirflowApi]:
    """Serve a login, and these answers to whatever else is asked."""

    def login(_: Request) -> Response:
        return JSONResponse({"access_token": "a token"}, 201)

    def answer(_: Request) -> Response:
        return answers.pop(0)

    routes = [
        Route("/auth/token", login, methods=["POST"]),
        Route("/{path:path}", answer, methods=["GET", "POST", "PATCH"]),
    ]
    with served(Starlette(routes=routes)) as url:
        yield AirflowApi(url, "a password")


def test_what_a_busy_database_could_not_do_is_asked_for_again() -> None:
    answers = [JSONResponse(BUSY, 500), JSONResponse(BUSY, 500), JSONResponse({"dag_run_id": "one"})]
    with airflow(answers) as api:
        assert api.trigger("language_audio", {}) == "one"
    assert not answers


def test_a_database_that_stays_busy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_api, "_PAUSES_S", (0, 0))
    answers: list[Response] = [JSONResponse(BUSY, 500) for _ in range(3)]
    with airflow(answers) as api, pytest.raises(Unavailable, match=r"500 to POST .*Database error"):
        api.trigger("language_audio", {})
    assert not answers


def test_another_failure_is_told_at_once() -> None:
    answers: list[Response] = [Response("out of order", 500), JSONResponse({"dag_run_id": "one"})]
    with airflow(answers) as api, pytest.raises(Unavailable, match="out of order"):
        api.trigger("language_audio", {})
    assert len(answers) == 1
