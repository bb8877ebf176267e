"""What a child process reads of languages whose objects have changed: sums of the catalog, copies, crawls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from langaudio import catalog
from langaudio.crawl import journal
from langaudio.crawl.journal import Crawl
from langaudio.pages.corpus import Clips, Learned, Objects
from langaudio.store import MissingObject, ObjectInfo, Store, default_store

_READERS = 8
_SUMMED = ("duration_s", "speech_s", "speaker_id", "split", "gone", "last_seen")


def learned(found: Mapping[str, Objects]) -> dict[str, Learned]:
    """Return what the objects of some languages say."""
    store = default_store()
    # All journals of all languages at once: they are many and small.
    journals = dict(store.get_many(item.key for one in found.values() for item in one.journals))

    def learn(code: str) -> Learned:
        one = found[code]
        crawls = _newest_first(journal.parse(journals[item.key]) for item in one.journals)
        return Learned(_sum(store, code, one), _copies(store, one.indexes), crawls)

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(found, pool.map(learn, found), strict=True))


def _sum(store: Store, code: str, objects: Objects) -> Clips:
    try:
        table = catalog.read_listed(store, objects.parts, _SUMMED, objects.refused)
    except MissingObject:
        # It was folded into another part since.
        table = catalog.read(store, code, _SUMMED)
    sides = {one["values"]: one["counts"] for one in pc.value_counts(table["split"]).to_pylist()}
    return Clips(
        clips=table.num_rows,
        gone=pc.sum(table["gone"]).as_py() or 0,
        speakers=pc.count_distinct(table["speaker_id"]).as_py(),
        duration_s=pc.sum(table["duration_s"]).as_py() or 0.0,
        speech_s=pc.sum(table["speech_s"]).as_py() or 0.0,
        train=sides.get("train", 0),
        dev=sides.get("dev", 0),
        test=sides.get("test", 0),
        last_seen=pc.max(table["last_seen"]).as_py(),
    )


def _copies(store: Store, indexes: Sequence[ObjectInfo]) -> int:
    """Return how many copies the recipe has that was used last; copy 0 is the segment as it was spoken."""
    if not indexes:
        return 0
    recipe = max(indexes, key=lambda item: item.modified).key.split("/")[1]
    ours = [item.key for item in indexes if item.key.split("/")[1] == recipe]
    columns = ["clip_id", "segment", "copy"]
    tables = [pq.read_table(pa.BufferReader(data), columns=columns) for _, data in store.get_many(ours)]
    once = pa.concat_tables(tables).group_by(columns, use_threads=False).aggregate([])
    return int(pc.sum(pc.greater(once["copy"], 0)).as_py() or 0)


def _newest_first(journals: Iterator[list[Crawl]]) -> list[Crawl]:
    return sorted((one for crawls in journals for one in crawls), key=lambda one: one.ended)[::-1]
