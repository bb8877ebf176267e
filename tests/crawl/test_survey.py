"""Looks at a real site before anything is fetched from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.responses import Response

from langaudio.crawl.stage import crawl
from langaudio.crawl.survey import Forecast, _forecast, survey
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys
from langaudio.upload import upload
from tests.crawl.library import Library, numbered


def test_a_survey_foretells_the_crawl_and_fetches_nothing(store: Store, library: Library) -> None:
    found = survey(store, "fr", source="demo", run="one")
    assert [item.key for item in store.list("")] == [keys.staging("demo", "one", "fr", "survey.json")]
    assert not [path for path in library.asked if path.endswith(".mp3")]
    stats = crawl(store, "fr", source="demo", run="one")
    assert (found.clips, found.pages) == (stats["new"], stats["pages"])
    assert found.expected_s == 0  # loopback is asked without a delay


def test_what_is_known_is_not_counted(store: Store, library: Library) -> None:
    crawl(store, "fr", source="demo", run="one")
    upload(store, "fr", source="demo", run="one")
    library.clips["fr"] += numbered(range(50, 53))
    assert survey(store, "fr", source="demo", run="two").clips == 3


def test_a_run_asks_the_source_once(store: Store, library: Library) -> None:
    first = survey(store, "fr", source="demo", run="one")
    asked = list(library.asked)
    assert survey(store, "fr", source="demo", run="one") == first
    assert survey(store, "fr", source="demo", run="one", limit=3).clips == 3
    assert library.asked == asked


def test_a_language_that_is_not_there_is_told(store: Store, library: Library) -> None:
    library.answers["/spip.php"] = lambda _: Response(status_code=404)
    with pytest.raises(LangaudioError, match="answers 404"):
        survey(store, "fr", source="demo", run="one")


def test_a_folder_is_counted_without_a_file_being_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "fr").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "fr" / name).write_bytes(b"no audio")
    found = survey(store, "fr", source="corpus", run="one", location=str(tmp_path))
    assert (found.clips, found.expected_s) == (2, 0)
    assert not [item for item in store.list("") if "audio/" in item.key]


@pytest.mark.parametrize(
    ("found", "limit", "expected"),
    [
        # 1,000 clips on pages of 10, each with its file linked: robots.txt, 100 pages, 1,000 files.
        ({"announced": 1000}, 0, Forecast("fr", 1000, 100, 1101)),
        # Every clip has a page of its own.
        ({"announced": 1000, "without_file": 10}, 0, Forecast("fr", 1000, 1100, 2101)),
        ({"announced": 1000, "known": 900}, 0, Forecast("fr", 100, 100, 201)),
        ({"announced": 1000}, 15, Forecast("fr", 15, 2, 18)),
        # A list in one piece.
        ({"announced": None, "seen": 500, "new": 300}, 0, Forecast("fr", 300, 1, 302)),
        # An empty list.
        ({"announced": 0, "seen": 0}, 0, Forecast("fr", 0, 1, 2)),
    ],
)
def test_the_forecast_follows_from_the_first_page(
    found: dict[str, int | None], limit: int, expected: Forecast
) -> None:
    page = {"seen": 10, "new": 10, "pages": 1, "without_file": 0, "known": 0}
    assert _forecast("fr", page | found, limit, 1.0) == expected
