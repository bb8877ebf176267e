"""The journal: what crawls came to, also those that staged nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from langaudio.crawl import journal
from langaudio.crawl.policy import Refused
from langaudio.crawl.stage import crawl
from langaudio.errors import LangaudioError, Unavailable
from langaudio.store import Store
from tests.conftest import free_port
from tests.crawl.conftest import Point


def test_a_crawl_that_ended_well_is_noted_with_its_counts(
    store: Store, serve: Callable[[ASGIApp], str], small_site: Starlette, point: Point
) -> None:
    point(serve(small_site))
    stats = crawl(store, "fr", source="demo", run="one")
    (noted,) = journal.read(store, "fr")
    assert (noted.source, noted.run, noted.outcome, noted.detail) == ("demo", "one", "done", "")
    assert {name: noted.counts[name] for name in ("new", "seen")} == {
        name: stats[name] for name in ("new", "seen")
    }
    assert noted.began <= noted.ended


def test_a_crawl_that_failed_is_noted_with_its_reason(store: Store, point: Point) -> None:
    point(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        crawl(store, "fr", source="demo", run="one")
    (noted,) = journal.read(store, "fr")
    assert noted.outcome == "failed"
    assert "does not answer" in noted.detail


def test_a_run_that_is_repeated_has_one_line_and_the_newest_comes_first(store: Store) -> None:
    with pytest.raises(Refused), journal.noted(store, "fr", "demo", "one"):
        raise Refused("robots.txt says no.", "robots")
    with journal.noted(store, "fr", "demo", "two"):
        pass
    with journal.noted(store, "fr", "demo", "one") as counts:
        counts |= {"new": 3, "pages": 1}
    assert [(one.run, one.outcome, one.counts) for one in journal.read(store, "fr")] == [
        ("one", "done", {"new": 3}),
        ("two", "done", {}),
    ]


def test_sources_have_journals_of_their_own_and_old_lines_go(store: Store) -> None:
    for number in range(60):
        with journal.noted(store, "fr", "demo", f"run-{number}"):
            pass
    with pytest.raises(LangaudioError), journal.noted(store, "fr", "tatoeba", "run-60"):
        raise LangaudioError("The site's pages may have changed.")
    lines = journal.read(store, "fr")
    assert len(lines) == 51
    assert (lines[0].source, lines[0].outcome) == ("tatoeba", "failed")
    assert lines[-1].run == "run-10"
    assert journal.read(store, "de") == []
