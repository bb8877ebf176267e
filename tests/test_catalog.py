"""The catalog: parts, their merge, and what quarantine takes out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
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


def test_old_parts_are_folded_into_one_and_nothing_is_lost(store: Store) -> None:
    for number in range(5):
        rows = [row(f"{clip:020x}", 1 + number) for clip in (number, 99)]
        catalog.write_part(store, "fr", f"run-{number}", rows)
    before = catalog.read(store, "fr")
    assert catalog.compact(store, "fr", min_parts=2) == 0  # they are too young
    assert catalog.compact(store, "fr", min_parts=2, older_than=timedelta(0)) == 5
    (part,) = catalog.parts(store, "fr")
    assert part.key.startswith("catalog/fr/compacted-")
    assert catalog.read(store, "fr") == before
    assert before.num_rows == 6


def test_a_part_that_changed_while_it_was_folded_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        catalog.write_part(store, "fr", f"run-{number}", [row(f"{number:020x}")])
    put = store.put

    def put_and_change(key: str, data: bytes) -> None:
        put(key, data)
        monkeypatch.undo()
        catalog.write_part(store, "fr", "run-1", [row(f"{1:020x}"), row(f"{7:020x}")])

    monkeypatch.setattr(store, "put", put_and_change)
    catalog.compact(store, "fr", min_parts=2, older_than=timedelta(0))
    assert catalog.ids(store, "fr") == {f"{number:020x}" for number in (0, 1, 2, 7)}


def test_a_reader_does_not_mind_that_parts_are_folded_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        catalog.write_part(store, "fr", f"run-{number}", [row(f"{number:020x}")])
    get_many = store.get_many

    def fold_and_get(wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        wanted = list(wanted)  # listed before
        monkeypatch.undo()
        catalog.compact(store, "fr", min_parts=2, older_than=timedelta(0))
        return get_many(wanted)

    monkeypatch.setattr(store, "get_many", fold_and_get)
    assert catalog.read(store, "fr").num_rows == 3
    assert len(catalog.parts(store, "fr")) == 1


LARGE = 20_000
"""Rows whose titles do not compress, so that a part is no small one."""


@pytest.fixture
def large(store: Store) -> Store:
    digest = hashlib.sha512
    rows = [row(f"{n:020x}", title=digest(b"%d" % n).hexdigest()) for n in range(LARGE)]
    catalog.write_part(store, "fr", "run", rows)
    (part,) = catalog.parts(store, "fr")
    assert part.size > catalog._SMALL_BYTES
    return store


def test_of_a_large_part_only_the_columns_that_are_wanted_are_fetched(large: Store) -> None:
    answers: list[int] = []

    def count(parsed: dict[str, Any], **_: object) -> None:
        answers.append(parsed["ContentLength"])

    large._client.meta.events.register("after-call.s3.GetObject", count)
    try:
        assert catalog.read(large, "fr", ["duration_s"]).num_rows == LARGE
        narrow, requests = sum(answers), len(answers)
        answers.clear()
        assert catalog.read(large, "fr").num_rows == LARGE
    finally:
        large._client.meta.events.unregister("after-call.s3.GetObject", count)
    (part,) = catalog.parts(large, "fr")
    assert 0 < narrow < part.size / 4
    assert requests < 10
    assert sum(answers) > part.size / 2


def test_a_range_that_was_damaged_on_its_way_is_no_damaged_part(
    large: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, get_range = catalog.read(large, "fr"), large.get_range
    damaged = []

    def damage(key: str, begin: int, end: int) -> bytes:
        data = bytearray(get_range(key, begin, end))
        data[len(data) // 2] ^= 4
        damaged.append(begin)
        return bytes(data)

    monkeypatch.setattr(large, "get_range", damage)
    assert catalog.read(large, "fr") == expected
    assert damaged


def test_parts_of_older_schemas_are_read_and_become_the_present_one(store: Store) -> None:
    now = pa.Table.from_pylist([row(f"{n:020x}", fingerprint=b"1234") for n in range(3)], catalog.SCHEMA)
    versions = {
        1: now.drop_columns(["format", "fingerprint"]).replace_schema_metadata({}),
        2: now.drop_columns(["fingerprint"]).replace_schema_metadata({"langaudio.catalog": "2"}),
        3: now,
    }
    for version, table in versions.items():
        part = table.slice(version - 1, 1)
        store.put(keys.catalog("fr", f"of-{version}"), catalog._parquet(part))
    assert catalog.read(store, "fr", ["format"])["format"].to_pylist() == ["mp3"] * 3
    before = catalog.read(store, "fr")
    assert before["fingerprint"].to_pylist() == [None, None, b"1234"]
    catalog.compact(store, "fr", min_parts=2, older_than=timedelta(0))
    (part,) = catalog.parts(store, "fr")
    schema = pq.read_schema(io.BytesIO(store.get(part.key)))
    assert schema.equals(catalog.SCHEMA, check_metadata=True)
    assert catalog.read(store, "fr") == before


def test_one_clip_of_many_is_found(store: Store) -> None:
    catalog.write_part(store, "fr", "run", [row(f"{n:020x}") for n in range(100)])
    (found,) = catalog.read(store, "fr", clip_ids={f"{42:020x}", "none"}).to_pylist()
    assert found["clip_id"] == f"{42:020x}"


def test_a_part_of_a_newer_langaudio_is_refused(store: Store) -> None:
    table = pa.Table.from_pylist([row("0" * 20)], schema=catalog.SCHEMA)
    newer = table.replace_schema_metadata({"langaudio.catalog": "99"})
    store.put("catalog/fr/newer.parquet", catalog._parquet(newer))
    with pytest.raises(LangaudioError, match="has schema 99"):
        catalog.read(store, "fr")
