"""The JSON API: it keeps what its description promises, whatever it is asked."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples

from langaudio.pages.app import create_app
from langaudio.pages.parts import Parts
from tests.pages.conftest import VISITOR, World

PATHS = {
    "/api/languages",
    "/api/languages/{language}",
    "/api/languages/{language}/clips",
    "/api/languages/{language}/clips/{clip_id}",
    "/api/languages/{language}/clips/{clip_id}/audio",
    "/api/languages/{language}/clips/{clip_id}/picture.png",
    "/api/languages/{language}/clips/{clip_id}/augmentation",
    "/api/languages/{language}/clips/{clip_id}/augmentation/{number}.{kind}",
    "/api/languages/{language}/quarantine",
    "/api/languages/{language}/crawls",
    "/api/recipes",
    "/api/models",
    "/api/models/{number}",
    "/api/models/{number}/champion",
    "/api/rollback",
    "/api/identify",
}


def test_the_description_has_all_of_the_api_and_nothing_else(client: TestClient) -> None:
    description = client.get("/api/openapi.json").json()
    assert description["paths"].keys() == PATHS
    for operations in description["paths"].values():
        for operation in operations.values():
            assert operation["tags"]
            assert operation["description"]


def test_the_page_of_the_api_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/api/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "plotly.min.js", "pages.css", "frame.js"):
        assert client.get(f"/assets/{name}").status_code == 200
    for name in ("..%2Fapp.py", "app.py", "plotly"):
        assert client.get(f"/assets/{name}").status_code == 404


@pytest.fixture
def description(small_world: World, parts: Parts) -> Any:
    """The API as somebody who may only look is answered: what is asked changes nothing."""
    with small_world.settings():
        app = create_app(lambda: VISITOR, parts)
        yield schemathesis.openapi.from_asgi("/api/openapi.json", app)


@pytest.mark.parametrize("path", sorted(PATHS))
def test_no_question_is_answered_by_a_failure_or_otherwise_than_described(
    description: Any, path: str
) -> None:
    operations = description.include(path=path)

    for found in operations.get_all_operations():
        strategy = found.ok().as_strategy()

        @examples(
            max_examples=6,
            database=None,
            derandomize=True,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def ask(case: Any) -> None:
            answer = case.call(headers={"Sec-Fetch-Site": "same-origin"})
            # A version that is not there, a file that is none: each has a sentence.
            assert answer.status_code < 500, answer.text
            case.validate_response(answer, checks=[schemathesis.checks.not_a_server_error])
            if answer.status_code >= 400:
                assert answer.json()["detail"]

        ask()


LIGHT = """
import sys
from fastapi.testclient import TestClient
from langaudio.pages.access import Person
from langaudio.pages.app import create_app
client = TestClient(create_app(lambda: Person("Ada", may_run=True)))
for path in ("overview", "language/fr", "language/fr/quarantine", "models/1", "identify", "augmentation"):
    assert client.get(f"/{path}").status_code == 200, path
heavy = {"numpy", "pyarrow", "matplotlib", "numba", "torch", "mlflow", "onnxruntime", "soundfile", "plotly"}
print(*sorted(heavy & set(sys.modules)))
"""


def test_what_is_heavy_stays_out_of_the_server(small_world: World) -> None:
    with small_world.settings():
        done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
