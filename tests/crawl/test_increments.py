"""What a crawl finds on the second night, and on the eighth."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from langaudio import catalog
from langaudio.crawl.stage import crawl
from langaudio.errors import LangaudioError
from langaudio.examine import Examined, Reason
from langaudio.settings import settings
from langaudio.store import Store, keys
from langaudio.upload import upload
from tests.crawl.library import Clip, Library, body, numbered, status

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("everything_is_speech")


@pytest.fixture
def everything_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish every file without listening to it: what is looked at here is what the crawl asks for."""
    import langaudio.upload

    speech = Examined(5.0, 44_100, 1, 128_000, 5.0, "mp3", b"", [0, 80_000])
    monkeypatch.setattr(langaudio.upload, "examine", lambda _: speech)


def night(store: Store, number: int, language: str = "fr", **options: Any) -> dict[str, Any]:
    """Crawl and publish, so many days after the first time."""
    stats = crawl(
        store, language, source="demo", run=f"night-{number}", at=FIRST + timedelta(days=number), **options
    )
    upload(store, language, source="demo", run=f"night-{number}")
    return stats


def rows(store: Store, language: str = "fr") -> dict[str, dict[str, Any]]:
    return {row["page_url"].rpartition("?")[2]: row for row in catalog.read(store, language).to_pylist()}


def test_the_first_crawl_takes_all(store: Store, library: Library) -> None:
    stats = night(store, 0)
    assert (stats["walk"], stats["announced"], stats["seen"], stats["new"]) == ("full", 12, 12, 12)
    assert len(library.audio_asked()) == 12
    row = rows(store)["article7"]
    assert (row["title"], row["cefr_level"], row["first_seen"]) == ("Title 7", "B1", FIRST)


def test_a_night_with_nothing_new_costs_three_requests_and_writes_nothing(
    store: Store, library: Library
) -> None:
    night(store, 0)
    library.asked.clear()
    before = {item.key for item in store.list("") if not item.key.startswith("staging/")}
    stats = night(store, 1)
    assert len(library.asked) == stats["requests"] == 3  # robots.txt, the feed, the first page
    assert (stats["new"], stats["changed"], stats["gone"], stats["audio_bytes"]) == (0, 0, 0, 0)
    assert {item.key for item in store.list("") if not item.key.startswith("staging/")} == before


def test_a_server_that_knows_conditions_is_asked_with_them(store: Store, library: Library) -> None:
    library.changed = FIRST - timedelta(days=1)
    night(store, 0)
    night(store, 1)
    assert library.not_modified == 2
    library.clips["fr"].insert(0, Clip(50, b"new" * 100))
    library.changed = FIRST + timedelta(days=1, hours=1)
    assert night(store, 2)["new"] == 1


def test_new_clips_are_found_until_known_ground(store: Store, library: Library) -> None:
    night(store, 0)
    library.asked.clear()
    library.clips["fr"] = numbered(range(20, 27)) + library.clips["fr"]
    stats = night(store, 1)
    assert (stats["new"], stats["walk"]) == (7, "to known ground")
    assert len(library.audio_asked()) == 7
    # Two pages with news on them, and one that shows nothing but known clips.
    assert sum("debut_articles" in address for address in library.asked) == 3
    assert len(rows(store)) == 19


def test_a_clip_of_the_feed_that_the_list_lacks_is_asked_for_by_itself(
    store: Store, library: Library
) -> None:
    night(store, 0)
    hidden = Clip(60, b"hidden" * 100)
    library.clips["es"] = [hidden]
    feed = library._feed(1).replace(
        "<item>", "<item><link>http://x/spip.php?article60</link></item><item>", 1
    )
    library.answers["/spip.php?page=backend&id_rubrique=1"] = body(feed.encode(), "text/xml")
    assert night(store, 1)["new"] == 1
    assert "article60" in rows(store)


def test_a_clip_of_the_feed_that_has_vanished_since_is_no_failure(store: Store, library: Library) -> None:
    night(store, 0)
    feed = library._feed(1).replace(
        "<item>", "<item><link>http://x/spip.php?article60</link></item><item>", 1
    )
    library.answers["/spip.php?page=backend&id_rubrique=1"] = body(feed.encode(), "text/xml")
    assert night(store, 1)["refused"] == {"no_audio": 1}
    # It is known from now on.
    library.asked.clear()
    assert night(store, 2)["new"] == 0
    assert len(library.asked) == 3


def test_a_feed_that_is_none_leaves_the_list(store: Store, library: Library) -> None:
    night(store, 0)
    library.answers["/spip.php?page=backend&id_rubrique=1"] = body(b"<html>Oops</html>", "text/html")
    library.clips["fr"].insert(0, Clip(50, b"new" * 100))
    assert night(store, 1)["new"] == 1


@pytest.mark.parametrize("answer", [404, 410])
def test_a_site_without_a_feed_is_walked_by_its_list(store: Store, library: Library, answer: int) -> None:
    night(store, 0)
    library.answers["/spip.php?page=backend&id_rubrique=1"] = status(answer)
    library.clips["fr"].insert(0, Clip(50, b"new" * 100))
    assert night(store, 1)["new"] == 1


def test_a_full_walk_comes_round_and_finds_what_is_gone_and_what_was_relabelled(
    store: Store, library: Library
) -> None:
    night(store, 0)
    lost = library.clips["fr"].pop()  # the oldest
    library.clips["fr"][-1].title, library.clips["fr"][-1].level = "A better title", 15
    assert night(store, 3)["gone"] == 0
    library.asked.clear()
    stats = night(store, 8)
    assert (stats["walk"], stats["gone"], stats["changed"], stats["new"]) == ("full", 1, 1, 0)
    assert library.audio_asked() == []
    found = rows(store)
    assert found[f"article{lost.number}"]["gone"]
    assert found[f"article{lost.number}"]["last_seen"] == FIRST + timedelta(days=8)
    assert found["article2"]["title"] == "A better title"
    assert found["article2"]["cefr_level"] == "C2"
    assert found["article7"]["last_seen"] == FIRST + timedelta(days=8)
    assert night(store, 9)["walk"] == "to known ground"


def test_a_clip_that_comes_back_is_not_gone(store: Store, library: Library) -> None:
    night(store, 0)
    lost = library.clips["fr"].pop()
    night(store, 8)
    library.clips["fr"].append(lost)
    night(store, 16)
    assert not rows(store)[f"article{lost.number}"]["gone"]


def test_a_full_walk_can_be_asked_for(store: Store, library: Library) -> None:
    night(store, 0)
    library.clips["fr"].pop()
    assert night(store, 1, full=True)["gone"] == 1


def test_another_file_on_a_known_page_is_fetched(store: Store, library: Library) -> None:
    night(store, 0)
    clip = library.clips["fr"][0]
    clip.audio, clip.file = b"another recording" * 50, "new-name"
    library.asked.clear()
    assert night(store, 8)["changed"] == 1
    assert library.audio_asked() == ["/IMG/mp3/new-name.mp3"]
    of_page = [
        row for row in catalog.read(store, "fr").to_pylist() if row["page_url"].endswith(f"e{clip.number}")
    ]
    assert sorted(row["gone"] for row in of_page) == [False, True]


def test_a_clip_that_moved_to_another_language_is_in_that_one_alone(store: Store, library: Library) -> None:
    night(store, 0)
    night(store, 0, "en")
    moved = library.clips["fr"].pop()
    library.clips["en"].append(moved)
    night(store, 8)
    night(store, 8, "en")
    assert f"article{moved.number}" not in rows(store)
    assert f"article{moved.number}" in rows(store, "en")
    assert [reason["reason"] for reason in catalog.refusals(store, "fr")] == [Reason.RELABELLED]


def test_a_limit_leaves_gaps_that_the_next_crawl_fills(store: Store, library: Library) -> None:
    assert night(store, 0, limit=10)["new"] == 10
    stats = night(store, 1)
    assert (stats["new"], stats["walk"]) == (2, "full")
    assert len(rows(store)) == 12


def test_a_refused_entry_is_known_and_a_full_walk_tries_it_again(store: Store, library: Library) -> None:
    audio, library.clips["fr"][2].audio = library.clips["fr"][2].audio, None
    assert night(store, 0)["refused"] == {"no_audio": 1}
    assert night(store, 1)["new"] == 0
    library.clips["fr"][2].audio = audio
    assert night(store, 2)["new"] == 0
    assert night(store, 8)["new"] == 1
    assert len(rows(store)) == 12
    assert catalog.refusals(store, "fr") == []


def test_a_file_that_comes_under_a_second_entry_is_fetched_once(store: Store, library: Library) -> None:
    library.clips["fr"][1].audio = library.clips["fr"][0].audio
    night(store, 0)
    library.asked.clear()
    night(store, 1)
    night(store, 8)
    assert library.audio_asked() == []


def test_known_clips_are_known_at_another_address_of_the_site(
    store: Store, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(store, 0)
    old = settings().demo_url
    new = old.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("LANGAUDIO_SOURCE_ROOTS", f'{{"demo": ["{new}/", "{old}/"]}}')
    settings.cache_clear()
    library.asked.clear()
    stats = night(store, 8)
    assert (stats["new"], stats["gone"], stats["known"]) == (0, 0, 12)
    assert library.audio_asked() == []


def test_a_new_design_shows_the_same_clips(store: Store, library: Library) -> None:
    night(store, 0)
    library.new_design = True
    library.asked.clear()
    stats = night(store, 8)
    assert (stats["seen"], stats["known"], stats["new"], stats["gone"]) == (12, 12, 0, 0)
    assert library.audio_asked() == []
    library.clips["fr"].insert(0, Clip(50, b"new" * 100))
    assert night(store, 9)["new"] == 1
    assert len(rows(store)) == 13


def test_a_new_design_is_crawled_from_its_first_night_on(store: Store, library: Library) -> None:
    library.new_design = True
    stats = night(store, 0)
    assert (stats["new"], stats["announced"], stats["walk"]) == (12, None, "full")
    library.asked.clear()
    assert night(store, 1)["new"] == 0
    assert len(library.asked) == 3
    row = rows(store)["article7"]
    assert (row["title"], row["cefr_level"]) == ("Title 7", "B1")


def test_a_site_that_lost_nearly_all_is_not_believed(store: Store, library: Library) -> None:
    library.clips["fr"] = numbered(range(1, 41))
    night(store, 0)
    library.clips["fr"] = library.clips["fr"][:6]
    with pytest.raises(LangaudioError, match="of 40 known clips 34 are no longer listed"):
        night(store, 8)
    assert not any(row["gone"] for row in rows(store).values())


def test_a_list_that_shows_fewer_than_it_announces_fails(store: Store, library: Library) -> None:
    library.announced = 20
    with pytest.raises(LangaudioError, match="20 clips are announced and 12 came out"):
        night(store, 0)


def test_a_list_that_shows_a_few_less_than_it_announces_says_so(
    store: Store, library: Library, capfd: pytest.CaptureFixture[str]
) -> None:
    library.clips["fr"], library.announced = numbered(range(1, 41)), 41
    stats = night(store, 0)
    assert (stats["announced"], stats["seen"]) == (41, 40)
    assert "fr: 41 clips are announced and 40 came out" in capfd.readouterr().err


def test_what_a_crawl_has_done_is_told_in_its_log_its_result_and_its_staging(
    store: Store, library: Library, capfd: pytest.CaptureFixture[str]
) -> None:
    library.clips["fr"][3].audio = None
    stats = night(store, 0)
    assert json.loads(store.get(keys.staging("demo", "night-0", "fr", "stats.json"))) == stats
    assert stats["pages"] == 4  # three of the list, and that of the clip without a file
    assert (stats["seen"], stats["new"], stats["changed"], stats["gone"]) == (12, 12, 0, 0)
    assert (stats["requests"], stats["refused"]) == (len(library.asked), {"no_audio": 1})
    assert stats["audio_bytes"] == sum(len(clip.audio or b"") for clip in library.clips["fr"])
    assert stats["response_bytes"] > stats["audio_bytes"]
    assert stats["waited_s"] >= 0
    told = capfd.readouterr().err
    assert "fr: 12 seen, 12 new, 0 changed, 0 gone, 4 pages, 16 requests; refused: 1 no_audio; " in told
    assert f"{stats['audio_bytes']} bytes of audio, {stats['response_bytes']} received; " in told
    assert f"{stats['seconds']:.1f} s, {stats['waited_s']:.1f} of them waited" in told
    night(store, 1)
    assert "fr: nothing new: 5 seen" in capfd.readouterr().err


def test_nothing_is_staged_of_a_failed_walk(store: Store, library: Library) -> None:
    library.announced = 20
    with pytest.raises(LangaudioError):
        night(store, 0)
    assert not store.exists(keys.staging("demo", "night-0", "fr", "_SUCCESS"))
