"""Checks a bucket against its contract (``docs/bucket.md``), counts what is wrong, and mends what can be.

A fault makes training doubtful. A leftover is what a run that was killed left behind: it does no harm, and
goes when the run is repeated.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import random
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from langaudio import audio, catalog
from langaudio.crawl.clips import audio_name
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.languages import LANGUAGES
from langaudio.store import MissingObject, ObjectInfo, Store, UnfinishedUpload, keys
from langaudio.wishes import wishes

log = logging.getLogger(__name__)

_COLUMNS = ("clip_id", "format", "sha256", "bytes", "speaker_id", "split", "source", "source_url", "page_url")
_SAMPLE = 50
_STALE = timedelta(days=1)
_GIVEN_UP = timedelta(days=7)
"""Of a training: by then its task is cleared, if it ever is."""

_SHOWN = 5
_CLIP = re.compile(r"([0-9a-f]{20})\.([a-z0-9]+)")
_SHARD = re.compile(r"shard-\d+\.tar")
_FORGET_AGAIN = "somebody wished it to be forgotten: run `langaudio forget` again"


class Kind(StrEnum):
    """What can be wrong with a bucket."""

    UNREADABLE = "unreadable_table"
    """A part of the catalog, or an index, is no table of ours."""
    NO_OBJECT = "row_without_object"
    WRONG_HASH = "wrong_hash"
    """A clip's bytes are not those that its row tells of."""
    TWO_SIDES = "speaker_on_two_sides"
    """Of the split; or a clip in two languages."""
    WRONG_SHARD = "wrong_shard"
    """A shard is missing, or does not hold what its index says."""
    FORGOTTEN = "forgotten_and_there"
    """A run that was under way has brought back what somebody wished to be forgotten."""
    NO_ROW = "object_without_row"
    STALE_STAGING = "stale_staging"
    """A crawl that was never finished, or never uploaded."""
    ORPHAN_SHARD = "shard_without_index"
    UNFINISHED_UPLOAD = "unfinished_upload"
    STALE_CHECKPOINT = "stale_checkpoint"
    """What a training that was cut off left, in order to go on."""


FAULTS = (
    *(Kind.UNREADABLE, Kind.NO_OBJECT, Kind.WRONG_HASH, Kind.TWO_SIDES, Kind.WRONG_SHARD),
    Kind.FORGOTTEN,
)


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        kind: what it is.
        key: where.
        detail: for people.
        mend: mends it and says how; None if only a person can.
    """

    kind: Kind
    key: str
    detail: str
    mend: Callable[[], str] | None = field(default=None, repr=False, compare=False)


@dataclass
class Diagnosis:
    """What a check found: how much was looked at, and what is wrong with it."""

    looked_at: dict[str, int]
    findings: list[Finding]

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind of finding there is; zeros included."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind.value: found[kind] for kind in Kind}

    @property
    def faults(self) -> int:
        return sum(finding.kind in FAULTS for finding in self.findings)

    def sentence(self) -> str:
        """Return the numbers and the first few faults, for people."""
        numbers = ", ".join(f"{count} {kind}" for kind, count in self.counts.items() if count)
        shown = [f"{one.key}: {one.detail}" for one in self.findings if one.kind in FAULTS][:_SHOWN]
        return "; ".join([numbers or "nothing is wrong", *shown])


def diagnose(store: Store, *, deep: bool = False) -> Diagnosis:
    """Check a bucket.

    Args:
        store: the bucket.
        deep: hash every clip and decode every shard; otherwise hash some of each language's clips, others
            each time.
    """
    doctor = _Doctor(store, deep)
    findings = list(doctor.findings())
    return Diagnosis(dict(doctor.looked_at), findings)


def repair(diagnosis: Diagnosis) -> dict[str, int]:
    """Mend what can be mended without losing anything; return how many findings of each kind were.

    Raises:
        Unavailable: the bucket does not answer.
    """
    mended: Counter[str] = Counter()
    for finding in diagnosis.findings:
        if finding.mend:
            log.info("%s: %s", finding.key, finding.mend())
            mended[finding.kind.value] += 1
    return dict(mended)


def require_health(store: Store) -> dict[str, int]:
    """Check a bucket in the cheap form before something is made of it.

    Raises:
        LangaudioError: it has faults; the message has the numbers.
    """
    diagnosis = diagnose(store)
    if diagnosis.faults:
        raise LangaudioError(
            f"The bucket {store.bucket!r} is not as it should be: {diagnosis.sentence()}. "
            "See `langaudio doctor`, which mends what can be mended with --repair."
        )
    return diagnosis.looked_at | diagnosis.counts


class _Doctor:
    def __init__(self, store: Store, deep: bool) -> None:
        self._store, self._deep, self._forgotten = store, deep, wishes(store).clips
        self._sides: defaultdict[str, set[str]] = defaultdict(set)
        self._homes: defaultdict[str, set[str]] = defaultdict(set)
        self.looked_at: Counter[str] = Counter()

    def findings(self) -> Iterator[Finding]:
        for language in sorted({*catalog.languages(self._store), *self._store.folders(keys.below("raw"))}):
            if language in LANGUAGES:
                yield from self._language(language)
            else:
                yield Finding(Kind.NO_ROW, f"*/{language}/", "it is no language of ours")
        yield from self._split()
        yield from self._shards()
        yield from self._staging()
        yield from self._unfinished()
        yield from self._checkpoints()

    def _language(self, language: str) -> Iterator[Finding]:
        try:
            rows = catalog.read(self._store, language, _COLUMNS).to_pylist()
            back = catalog.read(
                self._store, language, ["clip_id"], clip_ids=self._forgotten, with_refused=True
            )["clip_id"].to_pylist()
        except LangaudioError as error:
            yield Finding(Kind.UNREADABLE, keys.catalog(language), str(error))
            return
        prefix = keys.below("raw", language)
        objects = {item.key: item for item in self._store.list(prefix)}
        back += [key for key in objects if PurePosixPath(key).stem in self._forgotten]
        for found in back:
            yield Finding(Kind.FORGOTTEN, found, _FORGET_AGAIN)
        self.looked_at.update(clips=len(rows), objects=len(objects))
        whole = []
        for row in rows:
            key = keys.raw(language, row["clip_id"], row["format"])
            self._homes[row["clip_id"]].add(language)
            if row["speaker_id"]:
                self._sides[row["speaker_id"]].add(row["split"])
            item = objects.pop(key, None)
            if item is None:
                yield Finding(Kind.NO_OBJECT, key, "it has a row and no object", self._restore(row, language))
            elif item.size != row["bytes"]:
                detail = f"it has {item.size} bytes instead of {row['bytes']}"
                yield Finding(Kind.WRONG_HASH, key, detail, self._restore(row, language))
            else:
                whole.append(row)
        yield from self._hashes(language, whole)
        withdrawn = catalog.quarantined(self._store, language)
        for key, item in objects.items():
            name = _CLIP.fullmatch(key.removeprefix(prefix))
            if name is None:
                yield Finding(Kind.NO_ROW, key, "it is no clip")
            # An upload writes a file, then its row.
            elif name[1] not in withdrawn and _is_stale(item.modified):
                yield Finding(
                    Kind.NO_ROW, key, "it has no row", self._withdraw(item, language, *name.groups())
                )

    def _hashes(self, language: str, rows: list[dict[str, Any]]) -> Iterator[Finding]:
        chosen = rows if self._deep else random.sample(rows, min(_SAMPLE, len(rows)))
        wanted = (keys.raw(language, row["clip_id"], row["format"]) for row in chosen)
        for row, (key, data) in zip(chosen, self._store.get_many(wanted), strict=True):
            self.looked_at["hashed"] += 1
            if hashlib.sha256(data).hexdigest() != row["sha256"]:
                yield Finding(
                    Kind.WRONG_HASH, key, "its bytes are not those of its row", self._restore(row, language)
                )

    def _split(self) -> Iterator[Finding]:
        for speaker, sides in sorted(self._sides.items()):
            if len(sides) > 1:
                yield Finding(Kind.TWO_SIDES, f"speaker {speaker}", f"is in {' and '.join(sorted(sides))}")
        for clip_id, homes in sorted(self._homes.items()):
            if len(homes) > 1:
                yield Finding(Kind.TWO_SIDES, f"clip {clip_id}", f"is in {' and '.join(sorted(homes))}")

    def _shards(self) -> Iterator[Finding]:
        folders: defaultdict[str, dict[str, ObjectInfo]] = defaultdict(dict)
        for item in self._store.list(keys.below("augmented")):
            folder, _, name = item.key.rpartition("/")
            folders[folder + "/"][name] = item
        for folder, files in folders.items():
            self.looked_at["shards"] += len(files) - ("index.parquet" in files)
            if "index.parquet" in files:
                yield from self._batch(folder, files)
            else:
                yield from self._orphans(files, "its folder has no index")

    def _batch(self, folder: str, files: dict[str, ObjectInfo]) -> Iterator[Finding]:
        index_key = folder + "index.parquet"
        again = self._delete(index_key)  # augment makes anew what no index has
        try:
            table = pq.read_table(io.BytesIO(self._store.get(index_key)))
            columns = [table[name].to_pylist() for name in ("shard", "clip_id", "segment", "copy")]
        except (pa.ArrowException, KeyError, OSError) as error:
            yield Finding(Kind.UNREADABLE, index_key, str(error), again)
            return
        promised: defaultdict[str, set[str]] = defaultdict(set)
        if back := self._forgotten.intersection(columns[1]):
            yield Finding(Kind.FORGOTTEN, index_key, f"it has {len(back)} clips of them: {_FORGET_AGAIN}")
        for shard, clip_id, segment, copy in zip(*columns, strict=True):
            promised[shard].add(f"{clip_id}-{segment:03d}-{copy:02d}")
        for shard, names in promised.items():
            if shard.rpartition("/")[2] not in files:
                yield Finding(Kind.WRONG_SHARD, shard, "its index names it and it is not there", again)
            elif self._deep and self._names(shard) != names:
                yield Finding(Kind.WRONG_SHARD, shard, "it does not hold what its index says", again)
        named = {shard.rpartition("/")[2] for shard in promised} | {"index.parquet"}
        others = {name: item for name, item in files.items() if name not in named}
        yield from self._orphans(others, "its index does not name it")

    def _orphans(self, files: dict[str, ObjectInfo], detail: str) -> Iterator[Finding]:
        for name, item in files.items():
            if _SHARD.fullmatch(name) and _is_stale(item.modified):
                yield Finding(Kind.ORPHAN_SHARD, item.key, detail, self._delete(item.key))

    def _names(self, shard: str) -> set[str] | None:
        """Return the samples that a shard has both files of; None if it is no tar, or one does not decode."""
        names: Counter[str] = Counter()
        try:
            with tarfile.open(fileobj=io.BytesIO(self._store.get(shard))) as tar:
                for member in tar:
                    file = tar.extractfile(member)
                    data = file.read() if file else b""
                    if member.name.endswith(".flac"):
                        audio.decode(data)
                    else:
                        json.loads(data)
                    names[member.name.rpartition(".")[0]] += 1
        except (tarfile.TarError, audio.NotAudio, ValueError):
            return None
        return {name for name, number in names.items() if number == 2}

    def _staging(self) -> Iterator[Finding]:
        runs: defaultdict[str, list[ObjectInfo]] = defaultdict(list)
        for item in self._store.list(keys.below("staging")):
            runs["/".join(item.key.split("/")[:4]) + "/"].append(item)
        for folder, items in runs.items():
            self.looked_at["crawls"] += 1
            names = {item.key.removeprefix(folder) for item in items}
            if "_UPLOADED" in names or not _is_stale(max(item.modified for item in items)):
                continue
            if "_SUCCESS" not in names:
                yield Finding(Kind.STALE_STAGING, folder, "its crawl was never finished: clear its task")
            elif names - {"_SUCCESS", "stats.json", "items.jsonl"}:
                yield Finding(Kind.STALE_STAGING, folder, "it was never uploaded: clear its task")

    def _unfinished(self) -> Iterator[Finding]:
        for upload in self._store.unfinished_uploads():
            if _is_stale(upload.begun):
                detail = f"begun on {upload.begun:%Y-%m-%d}"
                yield Finding(Kind.UNFINISHED_UPLOAD, upload.key, detail, self._abort(upload))

    def _checkpoints(self) -> Iterator[Finding]:
        trainings: defaultdict[str, list[ObjectInfo]] = defaultdict(list)
        for item in self._store.list(keys.CHECKPOINTS):
            trainings[item.key.rpartition("/")[0] + "/"].append(item)
        for folder, files in trainings.items():
            newest = max(file.modified for file in files)
            if not _is_stale(newest):
                continue
            detail = f"no epoch since {newest:%Y-%m-%d}: clear its task, and it goes on"
            given_up = datetime.now(UTC) - newest > _GIVEN_UP
            mend = self._delete_all(files) if given_up else None
            yield Finding(Kind.STALE_CHECKPOINT, folder, detail, mend)

    def _abort(self, upload: UnfinishedUpload) -> Callable[[], str]:
        def abort() -> str:
            self._store.abort(upload)
            return "its parts are thrown away"

        return abort

    def _delete(self, key: str) -> Callable[[], str]:
        def delete() -> str:
            self._store.delete(key)
            return f"{key} is deleted; it can be made anew"

        return delete

    def _delete_all(self, files: list[ObjectInfo]) -> Callable[[], str]:
        def delete() -> str:
            for file in files:
                self._store.delete(file.key)
            return "it is deleted; the training would begin anew"

        return delete

    def _restore(self, row: dict[str, Any], language: str) -> Callable[[], str]:
        """Return what puts a clip's file back from quarantine or staging, or takes the clip out."""
        clip_id, extension = row["clip_id"], row["format"]
        key = keys.raw(language, clip_id, extension)

        def restore() -> str:
            for source in self._copies(row, language):
                try:
                    data = self._store.get(source)
                except MissingObject:
                    continue
                if hashlib.sha256(data).hexdigest() == row["sha256"]:
                    self._store.put(key, data)
                    return f"restored from {source}"
            self._write_reason(language, row, Reason.LOST, "The file is not there, or is another.")
            return "no copy is left: the clip is in quarantine"

        return restore

    def _copies(self, row: dict[str, Any], language: str) -> Iterator[str]:
        yield keys.quarantine(language, row["clip_id"], row["format"])
        name = audio_name(row["source_url"])
        for run in self._store.folders(keys.below("staging", row["source"])):
            yield keys.staging(row["source"], run, language, f"audio/{name}")

    def _withdraw(self, item: ObjectInfo, language: str, clip_id: str, extension: str) -> Callable[[], str]:
        """Return what puts an object that has no row into quarantine; it stays in ``raw/``, too."""

        def withdraw() -> str:
            self._store.copy(item.key, keys.quarantine(language, clip_id, extension))
            row = {"clip_id": clip_id, "source": None, "source_url": None, "page_url": None}
            self._write_reason(language, row, Reason.NO_ROW, "The catalog does not know it.")
            return "put into quarantine"

        return withdraw

    def _write_reason(self, language: str, row: dict[str, Any], reason: Reason, detail: str) -> None:
        told = {"clip_id": row["clip_id"], "language": language, "reason": reason.value, "detail": detail}
        told |= {name: row[name] for name in ("source", "source_url", "page_url")}
        self._store.put(keys.quarantine(language, row["clip_id"], "json"), json.dumps(told).encode())


def _is_stale(time: datetime) -> bool:
    return datetime.now(UTC) - time > _STALE
