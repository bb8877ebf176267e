"""The augment stage: training clips of a language, cut into segments and multiplied, into shards.

It does what is missing for (clip, recipe, copies), in batches: what a batch has closed is not done again,
whatever happens to the run. Clips are fetched and shards are put here; `langaudio.augment.workers` does the
work in between.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from langaudio import catalog, languages
from langaudio.augment.parts import WHOLE, FirstPart, Part
from langaudio.augment.recipe import load
from langaudio.augment.rendering import Job, Renderer
from langaudio.augment.shards import ShardWriter, read_index
from langaudio.augment.workers import Unrendered, Workers, cores
from langaudio.errors import LangaudioError
from langaudio.memory import give_back_large_blocks
from langaudio.store import MissingObject, Store, keys

log = logging.getLogger(__name__)

MOST_TIMES_COPIES = 4

_BATCH_CLIPS = 1_000
"""Minutes of work, which are lost if it is killed. A number of clips, so that what is left after a kill falls
into the same batches."""

_SPEECH_WORTH_A_PROCESS_S = 300
"""To start a process takes about as long as to make a copy of five minutes of speech."""

_REASONS_KEPT = 100
_READERS = 8


@dataclass(frozen=True)
class AugmentReport:
    """What an augment run did.

    Attributes:
        recipe_id: under which the copies lie.
        part: which part of the language was worked on, as in ``2/4``.
        clips: training clips of the language.
        copies: augmented copies of each of their segments.
        written: samples that were missing, and are written now.
        failed: number of clips that could not be augmented.
        reasons: the first hundred of them, with the reason; the log has all.
    """

    recipe_id: str
    part: str
    clips: int
    copies: int
    written: int = 0
    failed: int = 0
    reasons: dict[str, str] = field(default_factory=dict)


def augment(
    store: Store,
    language: str,
    *,
    run: str,
    recipe: str = "default",
    copies: int = 2,
    balance_minutes: float = 30.0,
    seed: int = 0,
    shard_mib: float = 64,
    workers: int = 0,
    part: Part | FirstPart = WHOLE,
) -> AugmentReport:
    """Write the copies of a language's training clips that are missing.

    Memory does not grow with the language, but for some 300 bytes a clip. The copies that are written do not
    depend on the number of workers, nor on the number of parts.

    Args:
        store: the bucket.
        language: the language's tag.
        run: the run's id, which names the shards' folders.
        recipe: name of a packaged recipe, or path of one.
        copies: augmented copies of each segment, for a language with speech enough.
        balance_minutes: minutes of training speech that are enough; see ``copies_for``.
        seed: of all random draws.
        shard_mib: size (MiB) at which a shard is closed.
        workers: processes that do the work, at most; 0 means as many as there are cores to use.
        part: the clips to work on; other tasks see to the others. A `FirstPart` looks how much is missing.

    Raises:
        LangaudioError: unknown language, bad recipe, or no training clips at all.
    """
    give_back_large_blocks()
    languages.get(language)
    if copies < 0:
        raise LangaudioError(f"copies is {copies}; it must be 0 or more.")
    loaded, recipe_id = load(recipe), seeded_id(recipe, seed)
    training = _training_clips(store, language)
    wanted = copies_for(pc.sum(training["speech_s"]).as_py(), copies, balance_minutes)
    missing = _Missing(store, recipe_id, language, training, wanted)
    mine = part.chosen(missing.hours)
    missing.keep(mine)
    written, failed, reasons = 0, 0, {}
    number = min(workers or cores(), math.ceil(missing.speech_s / _SPEECH_WORTH_A_PROCESS_S))
    with Workers(max(1, number), Renderer(language, loaded, recipe_id, seed)) as processes:
        for batch in missing.batches():
            folder = f"{keys.run_id(run)[:150]}-{_digest(batch)}"
            with ShardWriter(store, recipe_id, language, folder, round(shard_mib * 2**20)) as writer:
                for clip_id, result in _rendered(store, language, batch, processes):
                    try:
                        for sample in result.result():
                            writer.add(sample)
                    except (MissingObject, Unrendered) as error:
                        failed += 1
                        log.warning("%s: %s is not augmented: %s", language, clip_id, error)
                        if failed <= _REASONS_KEPT:
                            reasons[clip_id] = str(error)
            written += writer.written
            log.info("%s: %d samples written of %d clips to augment", language, written, missing.clips)
    report = AugmentReport(recipe_id, str(mine), training.num_rows, wanted, written, failed, reasons)
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


def _training_clips(store: Store, language: str) -> pa.Table:
    wanted = ["clip_id", "format", "speaker_id", "speech_regions", "speech_s", "split"]
    rows = catalog.read(store, language, wanted)
    training = rows.filter(pc.equal(rows["split"], "train"))
    if training.num_rows == 0:
        raise LangaudioError(
            f"{language!r} has {rows.num_rows} clips and none for training: crawl and upload more speakers "
            "first."
        )
    return training


class _Missing:
    """The clips that lack copies; a clip that has a copy has it of all its segments."""

    def __init__(self, store: Store, recipe_id: str, language: str, training: pa.Table, copies: int) -> None:
        self._every = range(copies + 1)
        written = read_index(store, recipe_id, language, ["clip_id", "copy"])
        written = written.filter(pc.less_equal(written["copy"], copies))
        self._written = written.group_by("clip_id").aggregate([("copy", "list")])
        counts = pc.list_value_length(self._written["copy_list"])
        complete = self._written.filter(pc.equal(counts, copies + 1))["clip_id"]
        self._training = training.filter(
            pc.invert(pc.is_in(training["clip_id"], value_set=complete.combine_chunks()))
        )

    @property
    def clips(self) -> int:
        rows: int = self._training.num_rows
        return rows

    @property
    def speech_s(self) -> float:
        return pc.sum(self._training["speech_s"]).as_py() or 0.0

    @property
    def hours(self) -> float:
        """Hours of speech that are missing, copies counted."""
        has = pc.fill_null(pc.list_value_length(self._written_of(self._training)), 0)
        lacks = pc.subtract(len(self._every), has)
        return (pc.sum(pc.multiply(self._training["speech_s"], lacks)).as_py() or 0.0) / 3600

    def keep(self, part: Part) -> None:
        """Leave the clips of other parts to others."""
        self._training = self._training.filter(part.holds(self._training["clip_id"]))

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Yield rows of the catalog, each with the list ``copies`` of those that it lacks."""
        for begin in range(0, self.clips, _BATCH_CLIPS):
            batch = self._training.slice(begin, _BATCH_CLIPS)
            written = self._written_of(batch).to_pylist()
            yield [
                row | {"copies": [copy for copy in self._every if copy not in (has or ())]}
                for row, has in zip(batch.to_pylist(), written, strict=True)
            ]

    def _written_of(self, rows: pa.Table) -> pa.ChunkedArray:
        """Return the copies that each clip has; null if it has none."""
        known = self._written["clip_id"].combine_chunks()
        return self._written["copy_list"].take(pc.index_in(rows["clip_id"], value_set=known))


def _rendered(
    store: Store, language: str, batch: list[dict[str, Any]], processes: Workers
) -> Iterator[tuple[str, Future[Any]]]:
    """Yield each clip with the future of its samples, which is done, in order; fetch clips a few ahead."""
    with ThreadPoolExecutor(_READERS) as readers:

        def jobs() -> Iterator[tuple[str, Callable[[], Job]]]:
            for row in batch:
                key = keys.raw(language, row["clip_id"], row["format"])
                yield row["clip_id"], partial(_job, row, readers.submit(store.get, key))

        yield from processes.map(jobs())


def _job(row: dict[str, Any], data: Future[bytes]) -> Job:
    return Job(row["clip_id"], row["speaker_id"], row["copies"], data.result(), row["speech_regions"])


def _digest(batch: list[dict[str, Any]]) -> str:
    """Name the work, so that other work of the same run goes to another folder."""
    work = {row["clip_id"]: row["copies"] for row in batch}
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:8]
