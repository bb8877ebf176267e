"""Shards: tars in WebDataset's layout, closed at a size, and the index that makes a batch of them count.

A sample is ``<clip_id>-<segment>-<copy>`` with ``.flac`` (16 kHz mono) and ``.json`` (where it comes from and
what was drawn). A batch is a folder of shards. It is closed by ``index.parquet``, which is written last; what
has no index does not count.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from langaudio.augment.rendering import Sample
from langaudio.store import Store, keys

INDEX_SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("segment", pa.int32(), nullable=False),
        pa.field("copy", pa.int32(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("begin_s", pa.float64(), nullable=False),
        pa.field("end_s", pa.float64(), nullable=False),
    ]
)


def read_index(
    store: Store, recipe_id: str, language: str, columns: Sequence[str] = tuple(INDEX_SCHEMA.names)
) -> pa.Table:
    """Return which sample stands in which shard, each once, sorted by clip, segment and copy.

    Args:
        store: the bucket.
        recipe_id: which augmentation.
        language: the language's tag.
        columns: of the index; without some, rows that are the same are one.
    """
    found = [item.key for item in store.list(keys.augmented(recipe_id, language))]
    indexes = [key for key in found if key.endswith("/index.parquet")]
    schema = pa.schema([INDEX_SCHEMA.field(name) for name in columns])
    tables = [
        pq.read_table(io.BytesIO(data), columns=list(columns), schema=INDEX_SCHEMA)
        for _, data in store.get_many(indexes)
    ]
    if not tables:
        return schema.empty_table()
    identity = [name for name in ("clip_id", "segment", "copy") if name in columns]
    rest = [name for name in columns if name not in identity]
    # Two runs that overlapped may both have written a sample: its bytes are the same, so any will do.
    order = [(name, "ascending") for name in (*identity, "shard") if name in columns]
    ordered = pa.concat_tables(tables).sort_by(order)
    once = ordered.group_by(identity, use_threads=False).aggregate([(name, "first") for name in rest])
    return once.rename_columns([name.removesuffix("_first") for name in once.column_names]).select(
        list(columns)
    )


class ShardWriter:
    """Writes one batch: collects samples in a file, puts a shard when it is full, and the index at the end.

    A shard is on its way to the bucket while the next one is filled: two of them are on the local disk, and
    little of either is in memory.

    Args:
        store: the bucket.
        recipe_id: which augmentation.
        language: the language's tag.
        batch: name of the batch's folder.
        shard_bytes: size at which a shard is closed.
    """

    def __init__(self, store: Store, recipe_id: str, language: str, batch: str, shard_bytes: int) -> None:
        self._store, self._shard_bytes = store, shard_bytes
        self._where = recipe_id, language, batch
        self._shards = 0
        self._columns: dict[str, list[object]] = {name: [] for name in INDEX_SCHEMA.names}
        self._sender = ThreadPoolExecutor(1)
        self._sending: Future[None] | None = None
        self._begin_shard()

    @property
    def written(self) -> int:
        return len(self._columns["clip_id"])

    def add(self, sample: Sample) -> None:
        for extension, content in (("flac", sample.flac), ("json", sample.described)):
            # TarInfo's defaults (no time, no owner) keep the bytes of a shard reproducible.
            member = tarfile.TarInfo(f"{sample.name}.{extension}")
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
        for name, values in self._columns.items():
            values.append(self._key() if name == "shard" else getattr(sample, name))
        if self._file.tell() >= self._shard_bytes:
            self._put_shard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._close()
        finally:
            self._sender.shutdown()
            self._file.close()

    def _close(self) -> None:
        """Put the last shard, then the index that makes the batch count."""
        if not self.written:
            return
        if self._tar.getmembers():
            self._put_shard()
        self._wait()
        buffer = io.BytesIO()
        pq.write_table(pa.table(self._columns, schema=INDEX_SCHEMA), buffer, compression="zstd")
        self._store.put(keys.augmented(*self._where, "index.parquet"), buffer.getvalue())

    def _begin_shard(self) -> None:
        # Both are open for longer than this call: _put_shard closes the tar, and _send the file.
        self._file = tempfile.TemporaryFile(prefix="langaudio-shard-")  # noqa: SIM115
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def _put_shard(self) -> None:
        self._tar.close()
        self._wait()
        self._sending = self._sender.submit(self._send, self._key(), self._file)
        self._shards += 1
        self._begin_shard()

    def _send(self, key: str, file: BinaryIO) -> None:
        with file:
            self._store.put(key, file)

    def _wait(self) -> None:
        if self._sending is not None:
            self._sending.result()
            self._sending = None

    def _key(self) -> str:
        return keys.augmented(*self._where, f"shard-{self._shards:06d}.tar")
