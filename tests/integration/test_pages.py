"""The Languages pages in a real Airflow: behind its login and roles, in its frame, leading to its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from langaudio import registry
from langaudio.services import config
from langaudio.services.airflow_api import AirflowApi
from langaudio.settings import settings
from tests.integration.conftest import VIEWER
from tests.integration.story import wait_for

TIMEOUT_MS = 180_000

READ = ("overview", "run?languages=fr", "models", "identify", "api/languages", "api/openapi.json", "api/docs")


def client(user: str | None) -> httpx.Client:
    asking = httpx.Client(
        base_url=f"http://127.0.0.1:{settings().airflow_port}", timeout=120, trust_env=False
    )
    if user:
        file, _ = config.password(settings())
        login = {"username": user, "password": json.loads(file.read_text())[user]}
        token = asking.post("/auth/token", json=login).json()["access_token"]
        asking.headers["Authorization"] = f"Bearer {token}"
    return asking


def test_without_a_login_everything_is_refused(home: Path) -> None:
    nobody = client(None)
    for path in (*READ, "assets/pages.css", "nothing", "api/languages/fr/clips/ab/audio"):
        assert nobody.get(f"/languages/{path}").status_code == 401, path
    for path in ("api/rollback", "api/identify", "models/1/champion"):
        # Without a login and without a token it is not even asked who it is.
        assert nobody.post(f"/languages/{path}").status_code == 403, path
        assert nobody.post(f"/languages/{path}", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 401
    page = nobody.get("/languages/overview", headers={"Accept": "text/html"})
    assert "Please log in" in page.text


@pytest.mark.parametrize(("user", "allowed"), [("admin", True), (VIEWER, False)])
def test_every_role_looks_and_only_some_choose(home: Path, user: str, allowed: bool) -> None:
    asking = client(user)
    for path in READ:
        assert asking.get(f"/languages/{path}").status_code == 200, path
    overview = asking.get("/languages/overview").text
    assert ('href="run?languages=fr"' in overview) == allowed
    # There may be nothing to go back to; but then it was asked.
    answer = asking.post("/languages/api/models/4711/champion")
    assert answer.status_code == (404 if allowed else 403), answer.text
    if not allowed:
        assert asking.post("/languages/api/rollback").status_code == 403


def test_a_version_that_nobody_evaluated_hides_no_other(home: Path) -> None:
    # Somebody's own script has registered it.
    run_id = registry.start_run("by hand", {})
    registry.finish_run(run_id)
    number = registry.register(run_id).number
    asking = client("admin")

    def newest() -> Any:
        return asking.get("/languages/api/models").raise_for_status().json()[0]

    # The pages keep for some seconds what the registry has said.
    wait_for(lambda: newest()["number"] == number, "the new version")
    assert newest()["macro_f1"] is None
    assert asking.get(f"/languages/models/{number}").status_code == 200


@pytest.fixture
def page(home: Path, browser: Browser) -> Iterator[Page]:
    """A tab of the administrator, logged in, on a dark screen."""
    address = f"http://127.0.0.1:{settings().airflow_port}"
    context = browser.new_context(
        base_url=address, color_scheme="dark", viewport={"width": 1400, "height": 900}
    )
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto("/auth/login")
    _, password = config.password(settings())
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    page.wait_for_url(lambda url: "/auth/" not in url)
    yield page
    context.close()


def test_the_pages_stand_in_airflows_frame_and_take_its_colours(page: Page) -> None:
    page.goto("/plugin/languages")
    frame = page.frame_locator("iframe")
    expect(frame.locator("h1")).to_have_text("Languages", timeout=TIMEOUT_MS)
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    frame.get_by_role("link", name="Identify").click()
    expect(frame.locator("h1")).to_have_text("Which language is it?", timeout=TIMEOUT_MS)
    # Airflow keeps the page in its own address, so that it can be shared.
    page.wait_for_url("**/plugin/languages/languages/identify")
    page.reload()
    expect(frame.locator("h1")).to_have_text("Which language is it?", timeout=TIMEOUT_MS)


def test_the_button_leads_to_the_filled_form_and_the_form_to_a_run(page: Page) -> None:
    AirflowApi().wait_for_dag("language_audio")
    page.goto("/plugin/languages/languages/overview?q=French")
    frame = page.frame_locator("iframe")
    frame.locator("tbody a.button").first.click()
    form = frame.locator("#run")
    expect(form.locator("legend").first).to_be_visible(timeout=TIMEOUT_MS)
    chosen = form.locator("#field-languages option:checked")
    expect(chosen).to_have_text(["French (fr)"])
    # A corpus of one's own that there is none of: the plan says so, and nothing is crawled.
    form.locator("#field-source").select_option(label="Recordings of your own (LANGAUDIO_CORPUS)")
    form.get_by_role("button", name="Start").click()
    page.wait_for_url("**/dags/language_audio/runs/**")
    run_id = page.url.rpartition("/")[2]
    run = AirflowApi().run("language_audio", run_id)
    assert run["conf"]["languages"] == ["fr"]
    assert run["conf"]["source"] == "corpus"
