"""The augment stage: training clips of a language, cut into segments and multiplied, into shards.

A shard is a tar in WebDataset's layout: ``<clip_id>-<segment>-<copy>`` with ``.flac`` (16 kHz mono) and
``.json`` (where it comes from and what was drawn). Copy 0 is the segment as it was spoken. A run writes
its shards into a folder of its own and closes it with ``index.parquet``; what has no index does not count.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from langaudio import audio, catalog, languages
from langaudio.augment.recipe import Recipe, load
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys

log = logging.getLogger(__name__)

MOST_TIMES_COPIES = 4

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


@dataclass(frozen=True)
class AugmentReport:
    """What an augment run did: counts, and clips that could not be augmented with the reason."""

    recipe_id: str
    clips: int
    copies: int
    written: int
    failed: dict[str, str] = field(default_factory=dict)


def augment(
    store: Store,
    language: str,
    *,
    run: str,
    recipe: str = "default",
    copies: int = 2,
    balance_minutes: float = 30.0,
    seed: int = 0,
    shard_mib: int = 64,
) -> AugmentReport:
    """Write the copies of a language's training clips that are missing.

    Args:
        store: the bucket.
        language: the language's tag.
        run: the run's id, which names the shards' folder.
        recipe: name of a packaged recipe, or path of one.
        copies: augmented copies of each segment, for a language with speech enough.
        balance_minutes: minutes of training speech that are enough; see ``copies_for``.
        seed: of all random draws.
        shard_mib: size (MiB) at which a shard is closed.

    Raises:
        LangaudioError: unknown language, bad recipe, or no training clips at all.
    """
    languages.get(language)
    if copies < 0:
        raise LangaudioError(f"copies is {copies}; it must be 0 or more.")
    loaded, recipe_id = load(recipe), seeded_id(recipe, seed)
    training = _training_clips(store, language)
    wanted_copies = copies_for(sum(row["speech_s"] for row in training), copies, balance_minutes)
    missing = _missing(read_index(store, recipe_id, language), training, wanted_copies)
    folder = f"{keys.run_id(run)[:150]}-{_digest(missing)}"
    writer = _ShardWriter(store, recipe_id, language, folder, shard_mib * 2**20)
    failed: dict[str, str] = {}
    by_id = {row["clip_id"]: row for row in training}
    files = store.get_many(keys.raw(language, clip_id, by_id[clip_id]["format"]) for clip_id in missing)
    for number, (clip_id, (_, data)) in enumerate(zip(missing, files, strict=True), 1):
        try:
            for sample, flac in _samples(data, by_id[clip_id], missing[clip_id], loaded, seed):
                writer.add(sample | {"recipe_id": recipe_id, "seed": seed}, flac)
        except LangaudioError as error:
            failed[clip_id] = str(error)
            log.warning("%s: %s is not augmented: %s", language, clip_id, error)
        if number % 100 == 0:
            log.info("%s: %d of %d clips augmented", language, number, len(missing))
    writer.close()
    report = AugmentReport(recipe_id, len(training), wanted_copies, len(writer.index), failed)
    log.info("%s: %s", language, json.dumps(asdict(report)))
    return report


def seeded_id(recipe: str, seed: int) -> str:
    """Return the id under which the copies of a recipe and seed lie.

    It is the recipe's own for seed 0. Another seed makes other copies, so it makes another id.

    Raises:
        LangaudioError: there is no such recipe, or it is wrong.
    """
    recipe_id = load(recipe).id
    return recipe_id if seed == 0 else hashlib.sha256(f"{recipe_id} {seed}".encode()).hexdigest()[:12]


def copies_for(speech_s: float, copies: int, balance_minutes: float) -> int:
    """Return how many copies each segment of a language gets.

    A language with ``balance_minutes`` of training speech or more gets ``copies``. One with less gets as
    many times more as it has less speech, up to four times; what imbalance remains is left to the
    sampling in training. The rule looks at this language alone, so that the order in which languages are
    worked on makes no difference.

    >>> copies_for(3600, copies=2, balance_minutes=30)
    2
    >>> copies_for(900, copies=2, balance_minutes=30)
    4
    >>> copies_for(10, copies=2, balance_minutes=30)
    8
    """
    if speech_s <= 0:
        return copies
    return math.ceil(copies * min(MOST_TIMES_COPIES, max(1.0, balance_minutes * 60 / speech_s)))


def read_index(store: Store, recipe_id: str, language: str) -> pa.Table:
    """Return which sample stands in which shard, each once, sorted by clip, segment and copy."""
    found = [item.key for item in store.list(keys.augmented(recipe_id, language))]
    indexes = [key for key in found if key.endswith("/index.parquet")]
    tables = [pq.read_table(io.BytesIO(data), schema=INDEX_SCHEMA) for _, data in store.get_many(indexes)]
    if not tables:
        return INDEX_SCHEMA.empty_table()
    identity = ["clip_id", "segment", "copy"]
    # Two runs that overlapped may both have written a sample: its bytes are the same, so any will do.
    ordered = pa.concat_tables(tables).sort_by([(name, "ascending") for name in (*identity, "shard")])
    rest = [name for name in INDEX_SCHEMA.names if name not in identity]
    once = ordered.group_by(identity, use_threads=False).aggregate([(name, "first") for name in rest])
    return once.rename_columns([name.removesuffix("_first") for name in once.column_names]).select(
        INDEX_SCHEMA.names
    )


def _training_clips(store: Store, language: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = catalog.read(
        store, language, ["clip_id", "format", "speaker_id", "speech_s", "split"]
    ).to_pylist()
    training = [row for row in rows if row["split"] == "train"]
    if not training:
        raise LangaudioError(
            f"{language!r} has {len(rows)} clips and none for training: crawl and upload more speakers first."
        )
    return training


def _missing(index: pa.Table, training: list[dict[str, Any]], copies: int) -> dict[str, list[int]]:
    """Return for each clip that lacks copies which ones; a clip's segments are written together."""
    written: dict[str, set[int]] = {}
    for clip_id, copy in zip(index["clip_id"].to_pylist(), index["copy"].to_pylist(), strict=True):
        written.setdefault(clip_id, set()).add(copy)
    every = range(copies + 1)
    missing = {
        row["clip_id"]: [copy for copy in every if copy not in written.get(row["clip_id"], ())]
        for row in training
    }
    return {clip_id: lacking for clip_id, lacking in missing.items() if lacking}


def _samples(
    data: bytes, row: dict[str, Any], copies: list[int], recipe: Recipe, seed: int
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the description and the FLAC bytes of each wanted copy of each segment."""
    samples = audio.decode(data).samples
    segments = audio.speech_segments(audio.speech_regions(samples))
    for segment, (begin_s, end_s) in enumerate(segments):
        spoken = samples[round(begin_s * audio.SAMPLE_RATE) : round(end_s * audio.SAMPLE_RATE)]
        for copy in copies:
            rendered, steps = (
                recipe.copy(spoken, audio.SAMPLE_RATE, seed, row["clip_id"], copy, segment)
                if copy
                else (spoken, [])
            )
            yield (
                {
                    "clip_id": row["clip_id"],
                    "speaker_id": row["speaker_id"],
                    "segment": segment,
                    "begin_s": begin_s,
                    "end_s": end_s,
                    "copy": copy,
                    "steps": steps,
                },
                audio.to_flac(rendered, audio.SAMPLE_RATE),
            )


class _ShardWriter:
    """Collects samples in memory, puts a shard when it is full, and the index at the end."""

    def __init__(self, store: Store, recipe_id: str, language: str, folder: str, shard_bytes: int) -> None:
        self._store, self._language, self._shard_bytes = store, language, shard_bytes
        self._where = recipe_id, language, folder
        self._shards = 0
        self.index: list[dict[str, Any]] = []
        self._begin_shard()

    def add(self, sample: dict[str, Any], flac: bytes) -> None:
        name = f"{sample['clip_id']}-{sample['segment']:03d}-{sample['copy']:02d}"
        described = json.dumps(sample | {"language": self._language}, sort_keys=True).encode()
        for extension, content in (("flac", flac), ("json", described)):
            # TarInfo's defaults (no time, no owner) keep the bytes of a shard reproducible.
            member = tarfile.TarInfo(f"{name}.{extension}")
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
        entry = {column: sample[column] for column in INDEX_SCHEMA.names if column != "shard"}
        self.index.append(entry | {"shard": self._key()})
        if self._buffer.tell() >= self._shard_bytes:
            self._put_shard()

    def close(self) -> None:
        """Put the last shard, then the index that makes the folder count."""
        if not self.index:
            return
        if self._tar.getmembers():
            self._put_shard()
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(self.index, schema=INDEX_SCHEMA), buffer, compression="zstd")
        self._store.put(keys.augmented(*self._where, "index.parquet"), buffer.getvalue())

    def _begin_shard(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def _put_shard(self) -> None:
        self._tar.close()
        self._store.put(self._key(), self._buffer.getvalue())
        self._shards += 1
        self._begin_shard()

    def _key(self) -> str:
        return keys.augmented(*self._where, f"shard-{self._shards:06d}.tar")


def _digest(missing: dict[str, list[int]]) -> str:
    """Name the work, so that other work of the same run goes to another folder."""
    return hashlib.sha256(json.dumps(missing, sort_keys=True).encode()).hexdigest()[:8]
