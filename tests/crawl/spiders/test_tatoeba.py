"""Tatoeba's weekly list, and a crawl of a small one."""

from __future__ import annotations

import bz2
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from langaudio.crawl.pages import PageChanged
from langaudio.crawl.spiders.tatoeba import Row, parse_rows
from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging
from langaudio.settings import settings
from langaudio.store import Store

LIST = (
    "77\t5001\tanna\tCC BY 4.0\thttps://x/anna\n"
    "78\t5002\tbob\t\\N\t\\N\n"
    "79\t5003\tbob\t\t\n"
    "77\t5004\tcarl\tCC0 1.0\t\n"
    "80\t5005\tcarl\tCC BY-NC 4.0\t\n"
)


def test_rows_give_one_recording_a_sentence_with_its_licence() -> None:
    assert list(parse_rows(bz2.compress(LIST.encode()), "http://x/")) == [
        Row(77, "anna", "CC BY 4.0"),
        Row(78, "bob", None),
        Row(79, "bob", None),
        Row(80, "carl", "CC BY-NC 4.0"),
    ]


def test_lists_of_four_columns_are_read_too() -> None:
    packed = bz2.compress(b"77\tanna\tCC BY 4.0\thttps://x\n")
    assert list(parse_rows(packed, "http://x/")) == [Row(77, "anna", "CC BY 4.0")]


def test_a_list_of_several_streams_is_read_to_its_end() -> None:
    packed = b"".join(bz2.compress(f"{number}\tanna\tCC0\t\n".encode()) for number in range(5))
    assert [row.sentence for row in parse_rows(packed, "http://x/")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<html></html>", "no bzip2"),
        (bz2.compress(b"1\tanna\tCC0\t\n" * 100)[:-20], "cut off"),
        (bz2.compress(b"1\tanna\n"), "none of Tatoeba's"),
        (bz2.compress(b"one\tanna\tCC0\t\n"), "none of Tatoeba's"),
        (bz2.compress(b"1\t\xff\tCC0\t\n"), "no bzip2 of UTF-8"),
        (b"", "cut off"),
    ],
)
def test_what_is_no_list_is_a_changed_page(data: bytes, what: str) -> None:
    with pytest.raises(PageChanged, match=what):
        list(parse_rows(data, "http://x/"))


def test_a_bomb_is_not_unpacked_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langaudio.crawl.spiders.tatoeba._MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(PageChanged, match="unpacks to more than"):
        list(parse_rows(bz2.compress(b"1\tanna\tCC0\t\n" * 2**17), "http://x/"))


def test_a_line_without_an_end_is_not_gathered() -> None:
    with pytest.raises(PageChanged, match="a line of more than"):
        list(parse_rows(bz2.compress(bytes(200 * 2**20)), "http://x/"))


@given(
    st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: bz2.compress(text.encode())))
)
def test_no_bytes_raise_anything_but_a_changed_page(data: bytes) -> None:
    with contextlib.suppress(PageChanged):
        list(parse_rows(data, "http://x/"))


@pytest.fixture
def asked(store: Store, serve: Callable[[ASGIApp], str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What two local hosts in the place of Tatoeba's are asked for."""
    asked: list[str] = []

    async def listing(request: Request) -> Response:
        asked.append(request.url.path)
        if "If-Modified-Since" in request.headers:
            return Response(status_code=304)
        return Response(bz2.compress(LIST.encode()), media_type="application/x-bzip2")

    async def audio(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(request.url.path * 99, media_type="audio/mpeg")

    lists = serve(Starlette(routes=[Route("/exports/per_language/{path:path}", listing)]))
    recordings = serve(Starlette(routes=[Route("/sentences/{path:path}", audio)]))
    monkeypatch.setenv("LANGAUDIO_SOURCE_ROOTS", json.dumps({"tatoeba": [f"{lists}/", f"{recordings}/"]}))
    settings.cache_clear()
    return asked


def test_a_crawl_fetches_what_has_a_licence(store: Store, asked: list[str]) -> None:
    stats = crawl(store, "fr", source="tatoeba", run="one", at=datetime(2026, 11, 1, tzinfo=UTC))
    assert asked == [
        "/exports/per_language/fra/fra_sentences_with_audio.tsv.bz2",
        "/sentences/fra/77.mp3",
        "/sentences/fra/80.mp3",
    ]
    assert (stats["new"], stats["refused"]) == (2, {"no_licence": 2})
    clips = Staging(store, "tatoeba", "one", "fr").clips()
    assert {clip.licence for clip in clips} == {"CC BY 4.0", "CC BY-NC 4.0"}
    assert len({clip.speaker_id for clip in clips}) == 2
    staged = store.get("staging/tatoeba/one/fr/items.jsonl").decode()
    assert "anna" not in staged
    assert "carl" not in staged


def test_a_limit_is_kept(store: Store, asked: list[str]) -> None:
    assert crawl(store, "fr", source="tatoeba", run="one", limit=1)["seen"] == 1
    assert len(asked) == 2
