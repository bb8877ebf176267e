"""A person decides which language a file is, and is told what no decision can change."""

from __future__ import annotations

import pytest

from langaudio import catalog
from langaudio.doctor import diagnose
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.release import release
from langaudio.store import Store, keys
from langaudio.upload import upload
from tests.test_upload import LATER, reasons, stage


@pytest.fixture
def contested(store: Store, spoken: bytes) -> str:
    """The id of a clip that stands under two languages."""
    for language in ("fr", "en"):
        stage(store, "one", {"shared": spoken, "text": b"no audio"}, language, speaker_id=None)
        upload(store, language, source="demo", run="one")
    (clip_id,) = (one["clip_id"] for one in catalog.refusals(store, "fr") if one["title"] == "shared")
    return str(clip_id)


def test_a_released_clip_is_in_the_catalog_of_that_language_alone(store: Store, contested: str) -> None:
    release(store, "fr", contested)
    assert catalog.ids(store, "fr") == {contested}
    assert catalog.read(store, "fr", ["clip_id"])["clip_id"].to_pylist() == [contested]
    assert catalog.read(store, "en").num_rows == 0
    assert not store.exists(keys.quarantine("fr", contested, "mp3"))
    assert diagnose(store, deep=True).findings == []
    with pytest.raises(LangaudioError, match=r"stands in the catalog as French \(fr\)"):
        release(store, "en", contested)


def test_a_decision_holds_when_the_clip_moves(store: Store, spoken: bytes, contested: str) -> None:
    release(store, "fr", contested)
    moved = "http://site.example/moved.mp3"
    changes = {"source_url": moved, "replaces": contested, "seen": LATER}
    stage(store, "two", {"shared": spoken}, speaker_id=None, **changes)
    upload(store, "fr", source="demo", run="two")
    (row,) = catalog.read(store, "fr").to_pylist()
    assert row["source_url"] == moved
    assert Reason.TWO_LANGUAGES not in reasons(store, "fr").values()


def test_what_is_no_matter_of_language_is_not_released(store: Store, contested: str) -> None:
    (bad,) = catalog.quarantined(store, "fr") - {contested}
    with pytest.raises(LangaudioError, match="as not_audio, and only two_languages and relabelled are"):
        release(store, "fr", bad)
    with pytest.raises(LangaudioError, match="'0000' is not in quarantine of French"):
        release(store, "fr", "0000")
    with pytest.raises(LangaudioError, match="not a known language"):
        release(store, "../x", contested)
