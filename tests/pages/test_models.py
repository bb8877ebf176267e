"""The models, asked of a real MLflow: told as they are, and chosen by whoever may."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from langaudio import registry
from langaudio.pages.app import create_app
from langaudio.promote import promote
from langaudio.settings import settings
from langaudio.store import Store
from tests.conftest import free_port
from tests.pages.conftest import VISITOR, World, client_of
from tests.train import spoken


def test_versions_are_told_the_newest_first(small: TestClient) -> None:
    newest, oldest = small.get("/api/models").json()
    assert [one["number"] for one in (newest, oldest)] == [2, 1]
    assert newest["languages"] == ["de", "fr", "ru"]
    assert 0 <= newest["macro_f1"]["low"] <= newest["macro_f1"]["value"] <= newest["macro_f1"]["high"] <= 1
    assert [one["champion"] for one in (newest, oldest)].count(True) == 1
    page = small.get("/models").text
    assert page.index("Version 2") < page.index("Version 1")


def test_a_version_is_told_with_all_that_its_run_keeps(small: TestClient, small_world: World) -> None:
    details = small.get("/api/models/2").json()
    run_id = details["version"]["run_id"]
    assert details["curves"]["loss"] == registry.curve(run_id, "loss")
    assert details["parameters"] == {"epochs": "3", "seed": "0"}
    assert [one["code"] for one in details["per_language"]] == ["de", "fr", "ru"]
    assert sum(map(sum, details["confusion_matrix"])) == details["version"]["test_clips"] == 6
    assert details["compared_with"] == 1
    changes = {one["code"]: one["change"]["value"] for one in details["per_language"]}
    assert changes == {"de": 1.0, "fr": -1.0, "ru": 0.0}
    assert "version 2" in details["card"]
    page = small.get("/models/2").text
    assert "+1.00" in page
    assert 'data-kind="confusion"' in page


def test_the_champions_recall_stands_in_the_overview(small: TestClient) -> None:
    champion = next(one for one in small.get("/api/models").json() if one["champion"])
    details = small.get(f"/api/models/{champion['number']}").json()
    told = {one["code"]: one["recall"] for one in small.get("/api/languages").json()}
    for one in details["per_language"]:
        assert told[one["code"]] == one["recall"]["value"]
    assert told["es"] is None


@pytest.mark.parametrize("path", ["/models/7", "/api/models/7", "/models/7/champion"])
def test_a_version_that_is_not_there_is_told(small: TestClient, path: str) -> None:
    answer = small.get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "There is no version 7 of the model."


@pytest.fixture
def two(client: TestClient, store: Store) -> TestClient:
    """Two versions of which the second is the champion."""
    make_two(store)
    return client


def make_two(store: Store) -> None:
    corpus = [spoken.clip(spoken.said("de", voice), "de", f"de-{voice}", "test") for voice in range(2)]
    spoken.publish(store, corpus)
    for answer in ("fr", "de"):
        promote(store, spoken.run_of(spoken.constant(["de", "fr"], answer, sure=8.0)))


def champion() -> int:
    found = registry.aliased(registry.CHAMPION)
    assert found is not None
    return found.number


def test_who_may_chooses_the_champion_after_a_question(two: TestClient) -> None:
    assert "Roll back to version 1" in two.get("/models").text
    question = two.get("/models/1/champion")
    assert "Make version 1 the champion?" in question.text
    assert champion() == 2
    done = two.post("/models/1/champion")
    assert done.url.path == "/models"
    assert "Version 1 is the champion now." in done.text
    assert champion() == 1
    assert "It is the champion already." in two.get("/models/1/champion").text
    assert two.post("/api/models/2/champion").json()["told"].startswith("Version 2 is the champion now.")
    assert champion() == 2
    assert two.post("/api/rollback").json()["told"].startswith("Version 1 is the champion now.")
    assert champion() == 1
    answer = two.post("/api/rollback")
    assert answer.status_code == 422
    assert "No version before 1 was champion" in answer.json()["detail"]


def test_who_may_not_run_the_pipeline_cannot_choose(two: TestClient) -> None:
    visitor = client_of(create_app(lambda: VISITOR, two.app.state.parts))
    for method, path in (
        ("GET", "/models/1/champion"),
        ("POST", "/models/1/champion"),
        ("POST", "/api/models/1/champion"),
        ("POST", "/api/rollback"),
    ):
        answer = visitor.request(method, path)
        assert answer.status_code == 403, (method, path)
        assert "You may look" in answer.json()["detail"]
    for path in ("/models", "/models/1"):
        assert "champion …" not in visitor.get(path).text
        assert "Roll back" not in visitor.get(path).text
    assert champion() == 2


def test_a_database_without_a_server_has_models_too(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LANGAUDIO_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    settings.cache_clear()
    spoken.prepare_mlflow(settings())
    make_two(store)
    (second, first) = client.get("/api/models").json()
    assert (second["champion"], first["champion"]) == (True, False)
    assert second["macro_f1"]["value"] > first["macro_f1"]["value"]
    assert client.get("/api/models/2").json()["card"]
    assert client.post("/api/rollback").json()["told"].startswith("Version 1 is the champion now.")
    assert champion() == 1


def test_nothing_is_chosen_by_looking_or_from_another_site(two: TestClient) -> None:
    assert two.post("/models/1/champion", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    two.get("/models?chosen=1")
    assert "Version 1 is the champion now." not in two.get("/models?chosen=1").text
    assert champion() == 2


def test_without_a_model_or_a_registry_the_page_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "There is no model yet" in client.get("/models").text
    monkeypatch.setenv("LANGAUDIO_MLFLOW_URI", f"http://127.0.0.1:{free_port()}")
    settings.cache_clear()
    client.app.state.parts.models.forget()
    answer = client.get("/models", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "does not answer as it should" in answer.text
