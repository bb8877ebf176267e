"""The catalog: parts, their merge, and what quarantine takes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from langaudio import catalog
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys


def row(clip_id: str, day: int = 1, **fields: Any) -> dict[str, Any]:
    seen = datetime(2026, 11, day, tzinfo=UTC)
    return {
        "clip_id": clip_id, "language": "fr", "source": "demo", "source_url": f"http://x/{clip_id}.mp3",
        "page_url": None, "title": None, "speaker_id": None, "speaker_sex": None, "speaker_age": None,
        "cefr_level": None, "licence": None, "permission": None, "duration_s": 5.0, "sample_rate": 44100,
        "channels": 2, "bitrate": 128000, "speech_s": 4.0, "sha256": clip_id * 4, "bytes": 1000,
        "split": "train", "first_seen": seen, "last_seen": seen, "gone": False, "format": "mp3",
    } | fields  # fmt: skip


def test_an_empty_catalog_is_an_empty_table(store: Store) -> None:
    assert catalog.read(store, "fr").num_rows == 0
    assert catalog.languages(store) == []


def test_parts_merge_and_the_newest_word_on_a_clip_wins(store: Store) -> None:
    catalog.write_part(store, "fr", "night-2", [row("aa", 2, title="new"), row("bb", 2)])
    catalog.write_part(store, "fr", "night-1", [row("aa", 1, title="old"), row("cc", 1)])
    table = catalog.read(store, "fr", ["clip_id", "title", "first_seen", "last_seen"])
    assert table["clip_id"].to_pylist() == ["aa", "bb", "cc"]
    assert table["title"].to_pylist()[0] == "new"
    assert [day.day for day in (table["first_seen"][0].as_py(), table["last_seen"][0].as_py())] == [1, 2]
    assert catalog.languages(store) == ["fr"]


def test_a_quarantined_clip_is_left_out_until_it_is_released(store: Store) -> None:
    catalog.write_part(store, "fr", "run", [row("aa"), row("bb")])
    store.put(keys.quarantine("fr", "aa", "json"), b"{}")
    assert catalog.read(store, "fr", ["clip_id"])["clip_id"].to_pylist() == ["bb"]
    store.delete(keys.quarantine("fr", "aa", "json"))
    assert catalog.read(store, "fr", ["clip_id"])["clip_id"].to_pylist() == ["aa", "bb"]


def test_a_part_of_another_schema_is_refused_by_name(store: Store) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"clip": ["aa"]}), sink)
    store.put(keys.catalog("fr", "odd"), sink.getvalue().to_pybytes())
    with pytest.raises(LangaudioError, match=r"catalog/fr/odd\.parquet is no part"):
        catalog.read(store, "fr")
