"""Who gets in, what they may, and what a browser is told to leave alone."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from langaudio.pages.access import Person, RunnerDep
from langaudio.pages.app import create_app
from langaudio.store import Store
from tests.pages.conftest import RUNNER, VISITOR, client_of

HERE = {"Sec-Fetch-Site": "same-origin"}


def nobody() -> Person:
    raise HTTPException(401, "Not authenticated")


def addresses(app: FastAPI) -> list[tuple[str, str]]:
    """Return every method and path of the application, with something for what is in braces."""
    filled = {
        "language": "fr",
        "clip_id": "ab",
        "name": "pages.css",
        "path": "x",
        "number": "1",
        "kind": "png",
    }
    return [
        (method, route.path.replace(":path", "").format(**filled))
        for route in app.routes
        for method in route.methods
    ]


def test_without_a_login_everything_is_refused() -> None:
    app = create_app(nobody)
    client = client_of(app)
    asked = addresses(app)
    assert len(asked) > 15
    for method, path in [*asked, ("GET", "/not/there"), ("GET", "/openapi.json"), ("GET", "/docs")]:
        assert client.request(method, path).status_code == 401, (method, path)


def test_who_is_not_logged_in_reads_where_to(store: Store) -> None:
    page = client_of(create_app(nobody)).get("/overview", headers={"Accept": "text/html"})
    assert "Please log in" in page.text
    assert 'href="./../"' in page.text


@pytest.mark.parametrize(("who", "status"), [(RUNNER, 200), (VISITOR, 403)])
def test_only_who_may_run_the_pipeline_acts(who: Person, status: int) -> None:
    app = create_app(lambda: who)

    @app.post("/act")
    def act(asking: RunnerDep) -> str:
        return asking.name

    # The application's last route takes all that nobody else wants.
    app.router.routes.insert(0, app.router.routes.pop())
    assert client_of(app).post("/act").status_code == status


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://pages.test"}, False),
        ({"Origin": "http://pages.test"}, True),
        ({"Origin": "http://evil.test"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
        ({"Authorization": "Bearer x", "Sec-Fetch-Site": "cross-site"}, True),
    ],
)
def test_what_another_site_sends_is_refused(headers: dict[str, str], allowed: bool) -> None:
    client = TestClient(create_app(lambda: RUNNER), base_url="http://pages.test")
    answer = client.post("/not-there", headers=headers)
    assert answer.status_code == (405 if allowed else 403)


def test_reading_needs_no_proof_of_where_one_comes_from(client: TestClient) -> None:
    assert client.get("/overview", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("path", ["/overview", "/nothing", "/api/languages", "/assets/pages.css"])
def test_every_answer_says_what_a_browser_may_load(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["frame-ancestors"] == "'self'"
    assert not any(word in headers["content-security-policy"] for word in ("unsafe", "http", "*"))
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "up"), [("/overview", "./"), ("/language/fr", "../"), ("/language/fr/crawls", "../../")]
)
@pytest.mark.parametrize("mounted", ["", "/airflow/languages"])
def test_addresses_hold_wherever_the_application_is_mounted(
    client: TestClient, path: str, up: str, mounted: str
) -> None:
    outer = FastAPI()
    outer.mount(mounted, client.app)
    page = client_of(outer).get(mounted + path)
    assert f'<link rel="stylesheet" href="{up}assets/pages.css">' in page.text
    assert 'href="/' not in page.text
