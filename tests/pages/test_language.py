"""A language's clips, quarantine and crawls; and nothing crawled is taken for markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient

from langaudio import catalog
from langaudio.crawl import journal
from langaudio.store import Store, keys
from tests.test_catalog import row

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def clip_id(number: int) -> str:
    return f"{number:020x}"


@pytest.fixture
def french(store: Store) -> Store:
    """Thirty clips of three speakers."""
    rows = [
        row(
            clip_id(number),
            day=1 + number % 20,
            title=f"Le marché {number}" if number % 2 else "La rivière",
            page_url=f"http://site.test/page/{number}",
            split=("train", "dev", "test")[number % 3],
            speaker_id=f"speaker{number % 3}",
            source="tatoeba" if number < 5 else "demo",
            duration_s=10.0 + number,
            gone=number == 7,
            licence="https://licence.test/by",
        )
        for number in range(30)
    ]
    catalog.write_part(store, "fr", "one", rows)
    return store


def found(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/languages/fr/clips", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


@pytest.mark.usefixtures("french")
def test_clips_are_filtered(client: TestClient) -> None:
    assert found(client)["found"] == 30
    assert found(client, q="MARCHÉ")["found"] == 15
    assert found(client, q="page/17")["found"] == 1
    assert found(client, q=clip_id(3))["clips"][0]["clip_id"] == clip_id(3)
    assert found(client, q="marché", split="dev", speaker="speaker1")["found"] == 5
    assert found(client, source="tatoeba")["found"] == 5
    assert [one["clip_id"] for one in found(client, gone="true")["clips"]] == [clip_id(7)]
    assert found(client, q="no such thing") == {"found": 0, "page": 1, "pages": 1, "clips": []}


@pytest.mark.usefixtures("french")
def test_pages_divide_all_clips_in_order(client: TestClient) -> None:
    seen = []
    for page in (1, 2, 3):
        answer = found(client, sort="-duration_s", page=page, per_page=12)
        assert answer["pages"] == 3
        seen += [one["duration_s"] for one in answer["clips"]]
    assert seen == [10.0 + number for number in range(29, -1, -1)]
    assert found(client, page=99, per_page=12)["page"] == 3


@pytest.mark.usefixtures("french")
def test_a_clip_is_shown_with_its_source_and_licence(client: TestClient) -> None:
    clip = client.get(f"/api/languages/fr/clips/{clip_id(1)}").json()
    assert (clip["title"], clip["licence"]) == ("Le marché 1", "https://licence.test/by")
    assert not {"fingerprint", "speech_regions"} & clip.keys()
    page = client.get(f"/language/fr/clip/{clip_id(1)}").text
    for text in (
        "Le marché 1",
        'href="https://licence.test/by"',
        'href="http://site.test/page/1"',
        "speaker1",
    ):
        assert text in page


@pytest.mark.usefixtures("french")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/languages/fr/clips/ffff", 404),
        ("/api/languages/fr/clips/ffff/audio", 404),
        ("/api/languages/xx/clips", 404),
        ("/api/languages/fr/clips/..%2F..%2Fsecret/audio", 404),
        ("/api/languages/fr/clips/NOT-HEX", 422),
        ("/api/languages/FR/clips", 422),
        ("/api/languages/fr/clips?page=0", 422),
        ("/api/languages/fr/clips?per_page=1000", 422),
        ("/api/languages/fr/clips?sort=secret", 422),
    ],
)
def test_what_is_not_there_or_wrong_is_told(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


@pytest.fixture
def heard(store: Store, spoken: bytes) -> bytes:
    """A published recording."""
    store.put(keys.raw("fr", clip_id(1), "mp3"), spoken)
    catalog.write_part(store, "fr", "one", [row(clip_id(1), bytes=len(spoken))])
    return spoken


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [(None, 0, None), ("bytes=0-", 0, None), ("bytes=100-199", 100, 200), ("bytes=-50", -50, None)],
)
def test_a_recording_is_served_whole_and_in_parts(
    client: TestClient, heard: bytes, asked: str | None, begin: int, end: int | None
) -> None:
    answer = client.get(
        f"/api/languages/fr/clips/{clip_id(1)}/audio", headers={"Range": asked} if asked else {}
    )
    assert answer.content == heard[begin:end]
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.status_code == (206 if asked else 200)
    if asked:
        first = begin % len(heard)
        told = f"bytes {first}-{first + len(answer.content) - 1}/{len(heard)}"
        assert answer.headers["content-range"] == told


def test_a_range_beyond_the_end_is_refused(client: TestClient, heard: bytes) -> None:
    answer = client.get(
        f"/api/languages/fr/clips/{clip_id(1)}/audio", headers={"Range": f"bytes={len(heard)}-"}
    )
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(heard)}"


@pytest.mark.usefixtures("heard")
def test_a_recording_is_drawn(client: TestClient) -> None:
    answer = client.get(f"/api/languages/fr/clips/{clip_id(1)}/picture.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_quarantine_is_told_with_reasons_and_can_be_heard(
    client: TestClient, store: Store, spoken: bytes
) -> None:
    for number, reason in enumerate(("silent", "too_short", "silent")):
        told = {"clip_id": clip_id(number), "reason": reason, "detail": f"Number {number}", "title": EVIL}
        store.put(keys.quarantine("fr", clip_id(number), "json"), json.dumps(told).encode())
    store.put(keys.quarantine("fr", clip_id(0), "mp3"), spoken)
    answer = client.get("/api/languages/fr/quarantine").json()
    assert answer["reasons"] == {"silent": 2, "too_short": 1}
    assert client.get("/api/languages/fr/quarantine?reason=too_short").json()["found"] == 1
    page = client.get("/language/fr/quarantine").text
    assert "Number 2" in page
    assert "<script>alert" not in page
    assert client.get(f"/api/languages/fr/clips/{clip_id(0)}/audio").content == spoken
    assert client.get(f"/api/languages/fr/clips/{clip_id(1)}/audio").status_code == 404


def test_crawls_are_told_the_newest_first(client: TestClient, store: Store) -> None:
    for run in ("one", "two"):
        with journal.noted(store, "fr", "demo", run) as counts:
            counts |= {"new": 5}
    assert [one["run"] for one in client.get("/api/languages/fr/crawls").json()] == ["two", "one"]
    page = client.get("/language/fr/crawls").text
    assert page.index('class="run">two') < page.index('class="run">one')
    assert "No crawl of German is known" in client.get("/language/de/crawls").text


class Elements(HTMLParser):
    """Notes what elements and handlers a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str | None] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script":
            self.scripts.append(values.get("src"))
        self.handlers += [name for name in values if name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def test_hostile_titles_and_addresses_stay_text(client: TestClient, store: Store) -> None:
    rows = [
        row(
            clip_id(1),
            title=EVIL,
            page_url="javascript:alert(1)",
            licence="data:text/html,x",
            speaker_id=EVIL,
        ),
        row(clip_id(2), title="{{ 7 * 7 }}", page_url=f"http://x/{EVIL}", source_url=EVIL, cefr_level=EVIL),
    ]
    catalog.write_part(store, "fr", "one", rows)
    for path in (
        "/language/fr",
        f"/language/fr?q={EVIL}&speaker=x",
        f"/language/fr/clip/{clip_id(1)}",
        f"/language/fr/clip/{clip_id(2)}",
        f"/overview?q={EVIL}",
        f"/{EVIL}",
    ):
        page = Elements(client.get(path, headers={"Accept": "text/html"}).text)
        assert page.scripts
        assert all(source and source.endswith(("/frame.js", "frame.js")) for source in page.scripts), path
        assert page.handlers == []
        assert not any(link.startswith(("javascript:", "data:")) for link in page.links)
