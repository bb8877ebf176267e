"""The table of clips: what every run learned, as Parquet parts per language, merged on reading.

A part is written once by one run. The catalog of a language is the merge of its parts: of the rows of
one clip, the one last seen wins and keeps the earliest ``first_seen``. A clip that has a reason in
quarantine is left out, until a person takes the reason away.

The reasons themselves are one JSON a clip; a table repeats them, so that reading them all does not take a
request for each.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from langaudio import arrow
from langaudio.errors import LangaudioError
from langaudio.store import MissingObject, ObjectInfo, Store, keys

log = logging.getLogger(__name__)

arrow.leave_pandas_out()

_T = TypeVar("_T")

_SMALL_BYTES = 2**20
"""Parts up to this size are fetched whole, several at a time; of a larger one what is read."""

_SETTLED = timedelta(days=2)

_UTC = pa.timestamp("ms", tz="UTC")

_VERSION = b"langaudio.catalog"

SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_url", pa.string(), nullable=False),
        pa.field("page_url", pa.string()),
        pa.field("title", pa.string()),
        pa.field("speaker_id", pa.string()),
        pa.field("speaker_sex", pa.string()),
        pa.field("speaker_age", pa.string()),
        pa.field("cefr_level", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("permission", pa.string()),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("sample_rate", pa.int32(), nullable=False),
        pa.field("channels", pa.int16(), nullable=False),
        pa.field("bitrate", pa.int32(), nullable=False),
        pa.field("speech_s", pa.float64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("first_seen", _UTC, nullable=False),
        pa.field("last_seen", _UTC, nullable=False),
        pa.field("gone", pa.bool_(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("fingerprint", pa.binary()),
        pa.field("speech_regions", pa.list_(pa.field("element", pa.int32()))),
    ],
    metadata={"langaudio.catalog": "4"},
)
"""The columns. Durations are seconds, bitrate is bit/s, times are UTC, regions are ``audio.in_samples``."""

_ADDED = {"format": "mp3", "fingerprint": None, "speech_regions": None}
"""Columns that parts of an older schema lack, and what holds for all of their rows.

Reading migrates, and compaction writes the present schema."""

_REFUSALS = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""A row repeats the JSON of a reason, and says which version of it: the object's ETag."""


class _Unreadable(LangaudioError):
    """What was read is no part of a catalog."""


def languages(store: Store) -> list[str]:
    """Return the tags of the languages that have a catalog, sorted."""
    return sorted(store.folders(keys.catalog()))


def write_part(store: Store, language: str, run: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write what a run learned of a language; nothing, if it learned nothing."""
    if rows:
        ordered = sorted(rows, key=lambda row: row["clip_id"])
        store.put(keys.catalog(language, run), _parquet(pa.Table.from_pylist(ordered, schema=SCHEMA)))


def read_part(store: Store, language: str, run: str) -> list[dict[str, Any]]:
    """Return the rows that a run has written; none, if it has written none."""
    key = keys.catalog(language, run)
    try:
        return _read_part(key, io.BytesIO(store.get(key)), SCHEMA.names).to_pylist()
    except MissingObject:
        return []


def read(
    store: Store,
    language: str,
    columns: Sequence[str] | None = None,
    *,
    clip_ids: Collection[str] | None = None,
    with_refused: bool = False,
) -> pa.Table:
    """Return the clips of a language, sorted by ``clip_id``.

    Args:
        store: the bucket.
        language: its tag.
        columns: the columns wanted, in this order; all if None. Of a large part no others are fetched.
        clip_ids: only these clips; all if None.
        with_refused: also those that are in quarantine.

    Raises:
        LangaudioError: a part has another schema than ours.
    """
    wanted = list(columns) if columns is not None else SCHEMA.names
    # What the merge itself needs is read along and dropped at the end.
    needed = [name for name in SCHEMA.names if name in {*wanted, "clip_id", "first_seen", "last_seen"}]
    merged = _merge(_looking_again(lambda: _read_parts(store, parts(store, language), needed, clip_ids)))
    refused = () if with_refused else quarantined(store, language)
    return _without(merged, refused).select(wanted)


def read_listed(
    store: Store, listed: Sequence[ObjectInfo], columns: Sequence[str], refused: Collection[str]
) -> pa.Table:
    """Return what ``read`` does, for a caller that has listed a language's parts and quarantine already.

    Args:
        store: the bucket.
        listed: the parts.
        columns: the columns wanted, in this order.
        refused: ids of the clips in quarantine.

    Raises:
        MissingObject: a part has gone since it was listed.
        LangaudioError: a part has another schema than ours.
    """
    needed = [name for name in SCHEMA.names if name in {*columns, "clip_id", "first_seen", "last_seen"}]
    return _without(_merge(_read_parts(store, listed, needed, None)), refused).select(list(columns))


def ids(store: Store, language: str) -> set[str]:
    """Return the ids of all clips of a language that any part has, in quarantine or not."""
    table = _looking_again(lambda: _read_parts(store, parts(store, language), ["clip_id"], None))
    return set(table["clip_id"].to_pylist())


def parts(store: Store, language: str) -> list[ObjectInfo]:
    """Return the parts of a language's catalog, in the order of their keys."""
    return [item for item in store.list(keys.catalog(language)) if item.key.endswith(".parquet")]


def remove(store: Store, language: str, clip_ids: Collection[str]) -> None:
    """Take clips out of all parts, which are written anew; for what must not be kept."""
    going = pa.array(sorted(clip_ids), pa.string())
    for item in parts(store, language):
        table = _read_parts(store, [item], SCHEMA.names, None)
        kept = table.filter(pc.invert(pc.is_in(table["clip_id"], value_set=going)))
        if kept.num_rows == 0:
            store.delete(item.key)
        elif kept.num_rows < table.num_rows:
            store.put(item.key, _parquet(kept))


def compact(store: Store, language: str, *, min_parts: int = 16, older_than: timedelta = _SETTLED) -> int:
    """Fold the older parts of a language into one; return how many were folded.

    Readers see every row at any moment: the folded part is written first, the merge does not mind to find a
    row twice, and who finds a part gone that was listed lists them again. A part that is younger may still be
    written anew by a run that is repeated.

    Args:
        store: the bucket.
        language: its tag.
        min_parts: fewer are not worth it.
        older_than: age that a part must have.
    """
    settled = datetime.now(UTC) - older_than
    old = [item for item in parts(store, language) if item.modified < settled]
    if len(old) < max(2, min_parts):
        return 0
    folded = _merge(_read_parts(store, old, SCHEMA.names, None))
    name = hashlib.sha256("\n".join(f"{item.key} {item.etag}" for item in old).encode()).hexdigest()[:16]
    store.put(keys.catalog(language, f"compacted-{name}"), _parquet(folded))
    unchanged = {(item.key, item.etag) for item in parts(store, language)}
    for item in old:
        if (item.key, item.etag) in unchanged:
            store.delete(item.key)
    log.info("%s: %d parts of the catalog folded into one of %d rows", language, len(old), folded.num_rows)
    return len(old)


def quarantined(store: Store, language: str) -> set[str]:
    """Return the ids of the clips of a language that were refused and that no person has released."""
    prefix = keys.quarantine(language)
    return {
        item.key.removeprefix(prefix).removesuffix(".json")
        for item in store.list(prefix)
        if item.key.endswith(".json")
    }


def refusals(store: Store, language: str) -> list[dict[str, Any]]:
    """Return every reason in quarantine of a language, sorted by ``clip_id``.

    Only reasons that the table of ``index_refusals`` lacks are read one by one.
    """
    return [json.loads(row["reason"]) for row in _looking_again(lambda: _refusals(store, language))]


def index_refusals(store: Store, language: str) -> None:
    """Write the table that repeats all reasons. It may lag behind: what it lacks is read one by one."""
    rows = _looking_again(lambda: _refusals(store, language))
    table = pa.Table.from_pylist(rows, schema=_REFUSALS)
    store.put(keys.refusals(language), _parquet(table))


def _refusals(store: Store, language: str) -> list[dict[str, str]]:
    listed = {item.key: item for item in store.list(keys.quarantine(language))}
    table = listed.pop(keys.refusals(language), None)
    repeated = {}
    if table:
        rows = pq.read_table(io.BytesIO(store.get(table.key)), schema=_REFUSALS).to_pylist()
        repeated = {(row["clip_id"], row["version"]): row["reason"] for row in rows}
    prefix, suffix = keys.quarantine(language), ".json"
    found = {
        key: (key.removeprefix(prefix).removesuffix(suffix), item.etag)
        for key, item in listed.items()
        if key.endswith(suffix)
    }
    unread = [key for key, identity in found.items() if identity not in repeated]
    read = {key: data.decode() for key, data in store.get_many(unread)}
    return [
        {"clip_id": clip_id, "version": version, "reason": read.get(key) or repeated[clip_id, version]}
        for key, (clip_id, version) in found.items()
    ]


def _without(table: pa.Table, clip_ids: Collection[str]) -> pa.Table:
    going = pa.array(sorted(clip_ids), pa.string())
    return table.filter(pc.invert(pc.is_in(table["clip_id"], value_set=going)))


def _looking_again(read: Callable[[], _T]) -> _T:
    """Read what was listed; anew, if some of it has gone since: folded into another part, or released."""
    for _ in range(3):
        try:
            return read()
        except MissingObject:
            continue
    return read()


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=2**17, write_page_checksum=True)
    return buffer.getvalue()


def _read_parts(
    store: Store, items: Sequence[ObjectInfo], columns: Sequence[str], clip_ids: Collection[str] | None
) -> pa.Table:
    small = dict(store.get_many(item.key for item in items if item.size <= _SMALL_BYTES))
    wanted = None if clip_ids is None else pa.array(sorted(clip_ids), pa.string())
    tables = [SCHEMA.empty_table().select(columns)]
    for item in items:
        if item.key in small:
            table = _read_part(item.key, io.BytesIO(small[item.key]), columns)
        else:
            table = _read_large_part(store, item, columns)
        # Before the merge, so that few clips of many cost little.
        tables.append(table if wanted is None else table.filter(pc.is_in(table["clip_id"], value_set=wanted)))
    return pa.concat_tables(tables)


def _read_large_part(store: Store, item: ObjectInfo, columns: Sequence[str]) -> pa.Table:
    try:
        return _read_part(item.key, store.open(item), columns)
    except _Unreadable:
        # Ranges have no checksum, so this may have happened on their way; the whole has one.
        return _read_part(item.key, io.BytesIO(store.get(item.key)), columns)


def _read_part(key: str, source: BinaryIO | io.RawIOBase, columns: Sequence[str]) -> pa.Table:
    ours = int(SCHEMA.metadata[_VERSION])
    try:
        file = pq.ParquetFile(source, pre_buffer=True, page_checksum_verification=True)
        version = int((file.schema_arrow.metadata or {}).get(_VERSION, 1))
        if version > ours:
            raise LangaudioError(f"{key} has schema {version}, and this langaudio knows {ours}: update it.")
        table = file.read([name for name in columns if name in file.schema_arrow.names])
        for name in columns:
            if name in _ADDED and name not in table.column_names:
                table = table.append_column(
                    name, pa.array([_ADDED[name]] * table.num_rows, SCHEMA.field(name).type)
                )
        return table.select(list(columns)).cast(pa.schema([SCHEMA.field(name) for name in columns]))
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise _Unreadable(
            f"{key} is no part of a catalog of schema {ours} or older ({error}): something else wrote it, or "
            "it is damaged; `langaudio doctor` tells more."
        ) from None


def _merge(table: pa.Table) -> pa.Table:
    order = [("clip_id", "ascending"), ("last_seen", "ascending"), ("first_seen", "ascending")]
    table = table.sort_by(order).combine_chunks()
    if table.num_rows == 0:
        return table
    row = pa.array(range(table.num_rows), pa.int64())
    merged = (
        pa.table({"clip_id": table["clip_id"], "row": row, "first_seen": table["first_seen"]})
        .group_by("clip_id", use_threads=False)
        .aggregate([("row", "max"), ("first_seen", "min")])
    )
    newest = table.take(merged["row_max"])
    column = newest.schema.get_field_index("first_seen")
    return newest.set_column(column, SCHEMA.field("first_seen"), merged["first_seen_min"])
