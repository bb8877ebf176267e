"""What docker-compose.yaml asks a container for its health."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from langaudio import health
from langaudio.errors import Unavailable
from tests.conftest import free_port

AIRFLOW = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": None},
    "triggerer": {"status": None},
}


def answer(request: Request) -> Response:
    return Response(status_code=request.path_params["status"])


@pytest.fixture
def url(serve: Callable[[ASGIApp], str]) -> str:
    async def monitor(_: Request) -> Response:
        return JSONResponse(AIRFLOW)

    return serve(Starlette(routes=[Route("/api/v2/monitor/health", monitor), Route("/{status:int}", answer)]))


@pytest.mark.parametrize("status", [200, 204, 403, 404])
def test_a_server_that_answers_is_well_also_one_that_asks_for_keys(url: str, status: int) -> None:
    assert health.main(["http", f"{url}/{status}"]) == 0


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_with_an_error_of_its_own_is_not(
    url: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert health.main(["http", f"{url}/{status}"]) == 1
    assert f"answers {status}" in capsys.readouterr().err


def test_nobody_there_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["http", f"http://127.0.0.1:{free_port()}/"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_a_component_is_as_well_as_airflow_says(url: str) -> None:
    health.airflow("metadatabase", url)
    with pytest.raises(Unavailable, match="says of its scheduler: unhealthy"):
        health.airflow("scheduler", url)
    for absent in ("triggerer", "dag_processor"):
        with pytest.raises(Unavailable, match=f"says of its {absent}: None"):
            health.airflow(absent, url)


def test_a_worker_whose_broker_is_away_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable, match="The broker does not answer"):
        health.worker("cpu")
