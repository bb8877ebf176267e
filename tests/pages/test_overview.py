"""The overview: sums, states, order, and the way to the form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from langaudio import catalog, languages
from langaudio.crawl import journal
from langaudio.crawl.policy import Refused
from langaudio.errors import LangaudioError
from langaudio.pages.app import create_app
from langaudio.settings import settings
from langaudio.store import Store, keys
from tests.pages.conftest import VISITOR, client_of
from tests.pages.corpora import generated
from tests.test_catalog import row


def rows(client: TestClient, **query: Any) -> dict[str, dict[str, Any]]:
    answer = client.get("/api/languages", params=query)
    assert answer.status_code == 200, answer.text
    return {one["code"]: one for one in answer.json()}


def test_of_an_empty_bucket_every_language_is_missing(client: TestClient) -> None:
    found = rows(client)
    assert found.keys() == languages.LANGUAGES.keys()
    assert {one["state"] for one in found.values()} == {"missing"}
    assert "The corpus is empty" in client.get("/overview").text


def test_a_language_is_summed_up(client: TestClient, store: Store) -> None:
    clips = [
        row(f"{n:020x}", speaker_id=f"s{n % 2}", split=("train", "dev", "test")[n % 3]) for n in range(5)
    ]
    clips[0] |= {"gone": True}
    catalog.write_part(store, "fr", "one", clips)
    store.put(keys.quarantine("fr", f"{4:020x}", "json"), b'{"clip_id": "x", "reason": "silent"}')
    found = rows(client)["fr"]
    assert (found["clips"], found["gone"], found["speakers"], found["refused"]) == (4, 1, 2, 1)
    assert (found["train"], found["dev"], found["test"]) == (2, 1, 1)
    assert (found["duration_s"], found["speech_s"]) == (20.0, 16.0)


def test_what_is_new_is_seen_at_once(client: TestClient, store: Store) -> None:
    catalog.write_part(store, "fr", "one", [row("aa")])
    assert rows(client)["fr"]["clips"] == 1
    catalog.write_part(store, "fr", "two", [row("bb")])
    assert rows(client)["fr"]["clips"] == 2
    catalog.write_part(store, "fr", "two", [row("bb"), row("cc")])
    assert rows(client)["fr"]["clips"] == 3
    assert client.get("/api/languages/fr").json()["clips"] == 3


def test_copies_are_counted_of_the_recipe_that_was_used_last(client: TestClient, store: Store) -> None:
    generated(store, number=1, clips=10)
    (code,) = (code for code, one in rows(client).items() if one["clips"])
    assert rows(client)[code]["copies"] == 20


def test_a_state_is_that_of_the_last_crawl(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in ("fr", "de", "es"):
        catalog.write_part(store, code, "one", [row("aa", language=code)])
    with journal.noted(store, "fr", "demo", "one"):
        pass
    assert rows(client)["fr"]["state"] == "fresh"
    assert rows(client)["es"]["state"] == "fresh"
    with pytest.raises(Refused), journal.noted(store, "fr", "demo", "two"):
        raise Refused("robots.txt says <no>.", "robots")
    with pytest.raises(LangaudioError), journal.noted(store, "de", "demo", "two"):
        raise LangaudioError("The site's pages may have changed.")
    found = rows(client)
    assert [found[code]["state"] for code in ("fr", "de", "it")] == ["refused", "failed", "missing"]
    assert found["fr"]["detail"] == "robots.txt says <no>."
    assert "robots.txt says &lt;no&gt;." in client.get("/overview").text
    ended = datetime.fromisoformat(found["fr"]["last_crawl"])
    assert datetime.now(UTC) - ended < timedelta(minutes=10)
    monkeypatch.setenv("LANGAUDIO_STALE_DAYS", "1e-9")
    settings.cache_clear()
    assert rows(client)["es"]["state"] == "stale"


def test_languages_are_filtered_and_ordered(client: TestClient, store: Store) -> None:
    for code, number in (("fr", 3), ("de", 1), ("es", 2)):
        clips = [row(f"{one:020x}", language=code) for one in range(number)]
        catalog.write_part(store, code, "one", clips)
    assert list(rows(client, sort="-clips"))[:3] == ["fr", "es", "de"]
    # What there is comes first, and then what can be brought in, by name.
    assert list(rows(client))[:5] == ["fr", "es", "de", "ab", "af"]
    assert list(rows(client, sort="clips", state="fresh")) == ["de", "es", "fr"]
    assert list(rows(client, q="FREN")) == ["fr"]
    assert list(rows(client, q="de")) == ["de", "gcf"]
    # What has no value comes last in both orders.
    for sort in ("recall", "-recall", "last_crawl", "-last_crawl"):
        assert len(rows(client, sort=sort)) == len(languages.LANGUAGES)
        if "last_crawl" in sort:
            assert set(list(rows(client, sort=sort))[:3]) == {"fr", "de", "es"}


@pytest.mark.parametrize("query", ["sort=secret", "state=happy", "q=" + "x" * 101])
def test_a_query_that_is_wrong_is_told(client: TestClient, query: str) -> None:
    assert client.get(f"/api/languages?{query}").status_code == 422
    assert "That does not work" in client.get(f"/overview?{query}", headers={"Accept": "text/html"}).text


def test_an_unknown_language_is_not_there(client: TestClient) -> None:
    answer = client.get("/api/languages/xx")
    assert answer.status_code == 404
    assert "'xx' is not a known language tag" in answer.json()["detail"]


def test_the_button_leads_to_the_form_with_language_and_source(client: TestClient, store: Store) -> None:
    with journal.noted(store, "fr", "demo", "one"):
        pass
    assert 'href="run?languages=fr"' in client.get("/overview").text
    page = client.get("/run?languages=fr&languages=nonsense").text
    (values,) = re.findall(r'data-values="([^"]*)"', page)
    assert values == "{&#34;languages&#34;: [&#34;fr&#34;], &#34;source&#34;: &#34;demo&#34;}"


def test_who_may_not_run_gets_no_form(store: Store, client: TestClient) -> None:
    visitor = client_of(create_app(lambda: VISITOR, client.app.state.parts))
    assert 'href="run?' not in visitor.get("/overview").text
    assert 'id="run"' not in visitor.get("/run?languages=fr").text


def test_a_registry_that_is_away_does_not_hide_the_corpus(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGAUDIO_MLFLOW_URI", "http://127.0.0.1:9")
    settings.cache_clear()
    page = client.get("/overview")
    assert page.status_code == 200
    assert "The models cannot be told of: MLflow at http://127.0.0.1:9 does not answer" in page.text
