"""Honours the wish of somebody who is heard: takes recordings out everywhere, and keeps them out.

A wish is kept as an object of its own, ``forgotten/<what>/<name>.json``, written before anything is removed.
It names the clips that were meant, so that the same bytes stay away whoever brings them. What is left of a
clip is a reason in quarantine, with its address and nothing else, so that no crawl fetches it again. It may
all be cut off and run again.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow.parquet as pq

from langaudio import catalog, registry
from langaudio.crawl.clips import content_id
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.languages import LANGUAGES
from langaudio.store import MissingObject, ObjectInfo, Store, keys
from langaudio.train import cache
from langaudio.wishes import Wishes

log = logging.getLogger(__name__)

What = Literal["clip", "speaker", "source"]
Described = dict[str, Any]


@dataclass(frozen=True)
class ForgetReport:
    """What was forgotten: counts, and the MLflow runs that had learned from it."""

    clips: int
    objects: int
    runs: list[str]


def forget(store: Store, what: What, name: str, at: datetime | None = None) -> ForgetReport:
    """Remove a clip, or all of a speaker or a source, from everywhere in the bucket.

    What a run that is under way has in its memory, it may still write: run this again when it has ended.
    ``langaudio doctor`` tells if there is need.

    Args:
        store: the bucket.
        what: what is to be forgotten.
        name: a clip's id, a speaker's pseudonym as the catalog has it, or a source's name.
        at: time of the wish; now if None.

    Raises:
        LangaudioError: the bucket has nothing of this name, now or forgotten.
        Unavailable: the bucket or MLflow does not answer: run it again.
    """
    wish = Wishes(**{f"{what}s": frozenset({name})})
    staged = list(_staged(store))
    doomed = {language: _doomed(store, language, wish) for language in _languages(store, staged)}
    for folder in staged:
        for clip in folder.published(store, wish):
            doomed[folder.language].setdefault(clip["clip_id"], clip)
    told = _told(store, what, name)
    if told is None and not any(doomed.values()) and not any(folder.has(wish) for folder in staged):
        raise LangaudioError(
            f"The bucket has nothing of the {what} {name!r}: `langaudio catalog --export` shows what it has."
        )
    told = told or {"what": what, "name": name, "at": (at or datetime.now(UTC)).isoformat(), "clips": []}
    # An attempt that was cut off may have taken away what says whose they are.
    clip_ids = {*told["clips"], *(clip_id for clips in doomed.values() for clip_id in clips)}
    store.put(keys.forgotten(what, name), json.dumps(told | {"clips": sorted(clip_ids)}).encode())

    published = {language: _objects(store, language, clip_ids) for language in doomed}
    sizes = {item.size for items in published.values() for item in items}
    # Staging first: as long as the clips are there, it is known which of its files are the same.
    objects = sum(folder.remove(store, wish, clip_ids, sizes) for folder in staged)
    for language, clips in doomed.items():
        objects += _remove(store, language, clips.values(), published[language], clip_ids)
    report = ForgetReport(sum(map(len, doomed.values())), objects, _mark_runs(store, doomed))
    log.info("forgotten: %s %s: %d clips, %d objects", what, name, report.clips, report.objects)
    return report


def _languages(store: Store, staged: Iterable[_Staged]) -> list[str]:
    folders = [store.folders(keys.below(top)) for top in ("catalog", "quarantine", "raw")]
    found = {folder.language for folder in staged}.union(*folders)
    return sorted(found & LANGUAGES.keys())


def _told(store: Store, what: What, name: str) -> Described | None:
    """Return a wish that is known; None if it is new."""
    try:
        found: Described = json.loads(store.get(keys.forgotten(what, name)))
    except MissingObject:
        return None
    return found


def _doomed(store: Store, language: str, wish: Wishes) -> dict[str, Described]:
    """Return by id what is known of each clip that is to go: its row, or its reason."""
    columns = ["clip_id", "speaker_id", "source", "source_url", "page_url"]
    published = catalog.read(store, language, columns, with_refused=True).to_pylist()
    found = {row["clip_id"]: row for row in published if wish.cover(row)}
    for reason in catalog.refusals(store, language):
        if wish.cover(reason) and reason["reason"] != Reason.FORGOTTEN:
            found.setdefault(reason["clip_id"], reason)
    return found


def _objects(store: Store, language: str, clip_ids: Collection[str]) -> list[ObjectInfo]:
    """Return the files of clips, published or refused."""
    return [
        item
        for top in ("raw", "quarantine")
        for item in store.list(keys.below(top, language))
        if not item.key.endswith(".json") and PurePosixPath(item.key).name.partition(".")[0] in clip_ids
    ]


def _remove(
    store: Store,
    language: str,
    doomed: Iterable[Described],
    files: Iterable[ObjectInfo],
    clip_ids: Collection[str],
) -> int:
    """Remove clips of a language; return how many objects are gone."""
    for clip in doomed:
        # First of all: what has a reason in quarantine is in no catalog.
        left = {name: clip.get(name) for name in ("clip_id", "source", "source_url", "page_url")}
        left |= {"language": language, "reason": Reason.FORGOTTEN.value, "detail": "Somebody wished it."}
        store.put(keys.quarantine(language, clip["clip_id"], "json"), json.dumps(left).encode())
    gone = [item.key for item in files]
    for recipe_id in store.folders(keys.below("augmented")):
        gone += _shards(store, keys.augmented(recipe_id, language), set(clip_ids))
    for key in gone:
        store.delete(key)
        cache.drop(store, key)
    catalog.remove(store, language, clip_ids)
    if any(True for _ in store.list(keys.quarantine(language))):
        catalog.index_refusals(store, language)
    return len(gone)


def _shards(store: Store, prefix: str, clip_ids: set[str]) -> Iterator[str]:
    """Yield the keys of the batches of shards that hold any of the clips; augment makes the rest anew."""
    for folder in store.folders(prefix):
        index = f"{prefix}{folder}/index.parquet"
        shards = [item.key for item in store.list(f"{prefix}{folder}/") if item.key != index]
        try:
            table = pq.read_table(io.BytesIO(store.get(index)), columns=["clip_id"])
        except MissingObject:
            # Of a run that was killed, or has not ended: what a shard holds, only the shard tells.
            yield from (key for key, data in store.get_many(shards) if not clip_ids.isdisjoint(_names(data)))
            continue
        if not clip_ids.isdisjoint(table["clip_id"].to_pylist()):
            yield index
            yield from shards


def _names(shard: bytes) -> Iterator[str]:
    """Yield the ids of the clips in a shard, as far as it can be read."""
    try:
        with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
            yield from (member.name.partition("-")[0] for member in tar)
    except tarfile.TarError:
        return


@dataclass(frozen=True)
class _Staged:
    """What a crawl has staged of a language. An item's ``audio`` names its file."""

    source: str
    language: str
    folder: str
    files: dict[str, ObjectInfo]
    items: list[Described]
    sightings: list[Described]

    def has(self, wish: Wishes) -> bool:
        return self.source in wish.sources or any(wish.cover(item) for item in self.items)

    def published(self, store: Store, wish: Wishes) -> Iterator[Described]:
        """Yield the clips of its items that are to go: an upload may have been killed before their rows."""
        covered = {self._file(item): item for item in self.items if wish.cover(item)}
        for key, data in store.get_many(key for key in covered if key in self.files):
            yield covered[key] | {"clip_id": content_id(data)}

    def remove(self, store: Store, wish: Wishes, clip_ids: Collection[str], sizes: Collection[int]) -> int:
        """Remove what is to go; return how many files are gone."""
        if self.source in wish.sources:
            going = set(self.files)
        else:
            going = {self._file(item) for item in self.items if wish.cover(item)} & self.files.keys()
            # Those that have the same bytes, whatever their address; also of a crawl that was cut off.
            alike = [key for key, item in self.files.items() if item.size in sizes and "/audio/" in key]
            going |= {key for key, data in store.get_many(alike) if content_id(data) in clip_ids}
            items = [one for one in self.items if not wish.cover(one) and self._file(one) not in going]
            sightings = [one for one in self.sightings if one["clip_id"] not in clip_ids]
            self._write(store, "items.jsonl", self.items, items)
            self._write(store, "sightings.jsonl", self.sightings, sightings)
        for key in going:
            store.delete(key)
        return len(going)

    def _file(self, item: Described) -> str:
        return f"{self.folder}audio/{item['audio']}"

    def _write(self, store: Store, name: str, before: list[Described], kept: list[Described]) -> None:
        if len(kept) < len(before):
            lines = "".join(json.dumps(one) + "\n" for one in kept)
            store.put(self.folder + name, lines.encode())


def _staged(store: Store) -> Iterator[_Staged]:
    for source in store.folders(keys.below("staging")):
        for run in store.folders(keys.below("staging", source)):
            for language in store.folders(keys.below("staging", source, run)):
                folder = keys.staging(source, run, language)
                files = {item.key: item for item in store.list(folder)}
                tables = [_lines(store, folder + name, files) for name in ("items.jsonl", "sightings.jsonl")]
                yield _Staged(source, language, folder, files, *tables)


def _lines(store: Store, key: str, files: Collection[str]) -> list[Described]:
    if key not in files:
        return []
    return [json.loads(line) for line in store.get(key).decode().split("\n") if line]


def _mark_runs(store: Store, languages: Collection[str]) -> list[str]:
    """Mark the runs that have learned from anything that is forgotten; return their ids."""
    forgotten = {
        reason["clip_id"]
        for language in languages
        for reason in catalog.refusals(store, language)
        if reason["reason"] == Reason.FORGOTTEN
    }
    marked = []
    for run_id in registry.runs():
        learned = registry.read_file(run_id, registry.CLIPS)
        count = len(forgotten.intersection(json.loads(learned))) if learned else 0
        if count:
            registry.mark(run_id, registry.FORGOTTEN, str(count))
            marked.append(run_id)
    return marked
