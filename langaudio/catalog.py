"""The table of clips: what every run learned, as Parquet parts per language, merged on reading.

A part is written once by one run. The catalog of a language is the merge of its parts: of the rows of
one clip, the one last seen wins and keeps the earliest ``first_seen``. A clip that has a reason in
quarantine is left out, until a person takes the reason away.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from langaudio.errors import LangaudioError
from langaudio.store import Store, keys

_UTC = pa.timestamp("ms", tz="UTC")

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
    ],
    metadata={"langaudio.catalog": "1"},
)
"""The columns (fixed). Durations are seconds, bitrate is bit/s, times are UTC."""


def languages(store: Store) -> list[str]:
    """Return the tags of the languages that have a catalog, sorted."""
    return sorted(store.folders(keys.catalog()))


def has_part(store: Store, language: str, run: str) -> bool:
    return store.exists(keys.catalog(language, run))


def write_part(store: Store, language: str, run: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write what a run learned of a language; nothing, if it learned nothing."""
    if rows:
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), buffer, compression="zstd")
        store.put(keys.catalog(language, run), buffer.getvalue())


def read(store: Store, language: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the clips of a language, sorted by ``clip_id``.

    Args:
        store: the bucket.
        language: its tag.
        columns: the columns wanted, in this order; all if None.

    Raises:
        LangaudioError: a part has another schema than ours.
    """
    wanted = list(columns) if columns is not None else SCHEMA.names
    # What the merge itself needs is read along and dropped at the end.
    needed = [name for name in SCHEMA.names if name in {*wanted, "clip_id", "first_seen", "last_seen"}]
    parts = [item.key for item in store.list(keys.catalog(language)) if item.key.endswith(".parquet")]
    tables = [_read_part(key, data, needed) for key, data in store.get_many(parts)]
    merged = _merge(pa.concat_tables(tables) if tables else SCHEMA.empty_table().select(needed))
    refused = pa.array(sorted(quarantined(store, language)), pa.string())
    kept = pc.invert(pc.is_in(merged["clip_id"], value_set=refused))
    return merged.filter(kept).select(wanted)


def quarantined(store: Store, language: str) -> set[str]:
    """Return the ids of the clips of a language that were refused and that no person has released."""
    prefix = keys.quarantine(language)
    return {
        item.key.removeprefix(prefix).removesuffix(".json")
        for item in store.list(prefix)
        if item.key.endswith(".json")
    }


def _read_part(key: str, data: bytes, columns: Sequence[str]) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(data), columns=list(columns)).cast(
            pa.schema([SCHEMA.field(name) for name in columns])
        )
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise LangaudioError(
            f"{key} is no part of a catalog of schema {SCHEMA.metadata[b'langaudio.catalog'].decode()} "
            f"({error}): another version of langaudio wrote it, or something else did."
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
