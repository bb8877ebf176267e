"""Crawls of a real demo site into a real bucket, each in its child process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging, newest_run
from langaudio.errors import LangaudioError, Unavailable
from langaudio.store import Store
from langaudio.upload import upload
from tests.conftest import free_port
from tests.crawl.conftest import Point


@pytest.fixture
def site(store: Store, small_site: ASGIApp, serve: Callable[[ASGIApp], str], point: Point) -> str:
    url = serve(small_site)
    point(url)
    return url


def test_a_crawl_stages_every_clip_of_the_language(store: Store, site: str) -> None:
    stats = crawl(store, "fr", source="demo", run="one")
    staging = Staging(store, "demo", "one", "fr")
    clips = staging.clips()
    assert stats["seen"] == stats["announced"] == len(clips) > 5  # more than one page of the list
    assert {clip.audio for clip in clips if clip.audio} == staging.audio_names()
    assert all(clip.language == "fr" and clip.licence and clip.speaker_id for clip in clips)
    assert newest_run(store, "demo", "fr") == "one"


def test_bad_entries_are_staged_with_their_problem(store: Store, site: str) -> None:
    problems = set()
    for language in ("fr", "en"):
        crawl(store, language, source="demo", run="one")
        problems |= {clip.problem for clip in Staging(store, "demo", "one", language).clips()}
    assert problems == {None, "no_audio", "download_failed"}


def test_what_is_published_is_not_fetched_again(store: Store, site: str) -> None:
    first = crawl(store, "fr", source="demo", run="one")
    upload(store, "fr", source="demo", run="one")
    second = crawl(store, "fr", source="demo", run="two")
    assert second["known"] >= 5  # the first page of the list
    assert (second["new"], second["audio_bytes"], second["walk"]) == (0, 0, "to known ground")
    assert second["requests"] <= 4 < first["requests"]


def test_a_limit_takes_the_newest(store: Store, site: str) -> None:
    assert crawl(store, "fr", source="demo", run="all")["seen"] > 3
    assert crawl(store, "fr", source="demo", run="some", limit=3)["seen"] == 3
    newest = [clip.page_url for clip in Staging(store, "demo", "some", "fr").clips()]
    every = [clip.page_url for clip in Staging(store, "demo", "all", "fr").clips()]
    by_number = sorted(every, key=lambda url: int(url.rpartition("article")[2]))
    assert set(newest) == set(by_number[-3:])


def test_a_crawl_that_was_cut_off_fetches_only_what_is_missing(store: Store, site: str) -> None:
    whole = crawl(store, "fr", source="demo", run="one")
    staging = Staging(store, "demo", "one", "fr")
    clips = staging.clips()
    lost = next(clip for clip in clips if clip.audio)
    store.delete("staging/demo/one/fr/_SUCCESS")
    store.delete(staging.key(f"audio/{lost.audio}"))
    again = crawl(store, "fr", source="demo", run="one")
    assert 0 < again["audio_bytes"] < whole["audio_bytes"]
    assert [clip.page_url for clip in staging.clips()] == [clip.page_url for clip in clips]
    assert lost.audio in staging.audio_names()


def test_a_complete_crawl_is_not_repeated(store: Store, site: str, point: Point) -> None:
    stats = crawl(store, "fr", source="demo", run="one")
    point(f"http://127.0.0.1:{free_port()}")
    assert crawl(store, "fr", source="demo", run="one") == stats


def test_a_site_that_is_away_is_unavailable_and_leaves_nothing(store: Store, point: Point) -> None:
    point(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="does not answer"):
        crawl(store, "fr", source="demo", run="one")
    assert not Staging(store, "demo", "one", "fr").complete()


def test_robots_txt_is_obeyed(store: Store, serve: Callable[[ASGIApp], str], point: Point) -> None:
    asked = []

    async def robots(_: object) -> PlainTextResponse:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def page(_: object) -> HTMLResponse:
        asked.append(True)
        return HTMLResponse("")

    point(serve(Starlette(routes=[Route("/robots.txt", robots), Route("/spip.php", page)])))
    with pytest.raises(LangaudioError, match=r"robots\.txt"):
        crawl(store, "fr", source="demo", run="one")
    assert not asked


def test_a_changed_page_fails_the_crawl(store: Store, serve: Callable[[ASGIApp], str], point: Point) -> None:
    async def page(_: object) -> HTMLResponse:
        return HTMLResponse("<html><body>A new design</body></html>")

    point(serve(Starlette(routes=[Route("/spip.php", page)])))
    with pytest.raises(LangaudioError, match="shows no list of clips"):
        crawl(store, "fr", source="demo", run="one")
    assert not Staging(store, "demo", "one", "fr").complete()


@pytest.mark.parametrize(
    ("language", "options", "sentence"),
    [
        ("xx", {"source": "demo"}, "'xx' is not a known language tag"),
        ("nl", {"source": "audio_lingua"}, "audio_lingua has no Dutch"),
        ("fr", {"source": "dmo"}, "did you mean 'demo'"),
        ("fr", {"source": "demo", "limit": -1}, "use 0 for all"),
    ],
)
def test_a_wrong_order_is_refused_in_a_sentence(
    store: Store, language: str, options: dict, sentence: str
) -> None:
    with pytest.raises(LangaudioError, match=sentence):
        crawl(store, language, run="one", **options)


def test_staging_holds_no_names(store: Store, site: str, small_site_folder: Path) -> None:
    from langaudio.demo import contents

    crawl(store, "fr", source="demo", run="one")
    items = store.get("staging/demo/one/fr/items.jsonl").decode()
    names = {entry.speaker for entry in contents.read(small_site_folder)}
    assert names
    assert not [name for name in names if name in items]
