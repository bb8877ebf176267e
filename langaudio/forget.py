"""Honours the wish of somebody who is heard: takes recordings out everywhere, and keeps them out.

A wish is kept as an object of its own, ``forgotten/<what>/<name>.json``, written before anything is removed.
What is left of a clip is a reason in quarantine, with its address and nothing else, so that no crawl fetches
it again. Everything may be cut off and run again.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow.parquet as pq

from langaudio import catalog, registry
from langaudio.crawl.clips import audio_name
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.store import MissingObject, Store, keys
from langaudio.wishes import Wishes, wishes

log = logging.getLogger(__name__)

What = Literal["clip", "speaker", "source"]

MARK = "trained_on_forgotten_clips"
"""Tag of a run whose network has learned from clips that are forgotten now: how many."""


@dataclass(frozen=True)
class ForgetReport:
    """What was forgotten: counts, and the MLflow runs that had learned from it."""

    clips: int
    objects: int
    runs: list[str]


def forget(store: Store, what: What, name: str, at: datetime | None = None) -> ForgetReport:
    """Remove a clip, or all of a speaker or a source, from everywhere in the bucket.

    Args:
        store: the bucket.
        what: what is to be forgotten.
        name: a clip's id, a speaker's pseudonym as the catalog has it, or a source's name.
        at: time of the wish; now if None.

    Raises:
        LangaudioError: the bucket has nothing of this name, now or forgotten.
        Unavailable: the bucket or MLflow does not answer: run it again.
    """
    before = wishes(store)
    wish = Wishes(**{f"{what}s": frozenset({name})})
    languages = sorted({*catalog.languages(store), *store.folders("quarantine/"), *store.folders("raw/")})
    doomed = {language: list(_doomed(store, language, wish)) for language in languages}
    if not any(doomed.values()) and not any(_staged(store, wish)) and not _knows(before, what, name):
        raise LangaudioError(
            f"The bucket has nothing of the {what} {name!r}: `langaudio catalog --export` shows what it has."
        )
    told = {"what": what, "name": name, "at": (at or datetime.now(UTC)).isoformat()}
    store.put(keys.forgotten(what, name), json.dumps(told).encode())
    objects = sum(_remove(store, language, found) for language, found in doomed.items() if found)
    objects += sum(_unstage(store, folder, kept, names) for folder, kept, names in _staged(store, wish))
    report = ForgetReport(sum(map(len, doomed.values())), objects, _mark_runs(store, languages))
    log.info("forgotten: %s %s: %d clips, %d objects", what, name, report.clips, report.objects)
    return report


def _knows(before: Wishes, what: What, name: str) -> bool:
    return name in {"clip": before.clips, "speaker": before.speakers, "source": before.sources}[what]


def _doomed(store: Store, language: str, wish: Wishes) -> Iterator[dict[str, Any]]:
    """Yield what is known of each clip that is to go: its row, or its reason."""
    columns = ["clip_id", "speaker_id", "source", "source_url", "page_url"]
    published = catalog.read(store, language, columns, with_refused=True).to_pylist()
    found = {row["clip_id"]: row for row in published if wish.cover(row)}
    for reason in catalog.refusals(store, language):
        if wish.cover(reason) and reason["reason"] != Reason.FORGOTTEN:
            found.setdefault(reason["clip_id"], reason)
    yield from found.values()


def _remove(store: Store, language: str, doomed: Collection[dict[str, Any]]) -> int:
    """Remove clips of a language; return how many objects are gone."""
    clip_ids = {clip["clip_id"] for clip in doomed}
    for clip in doomed:
        # First of all: what has a reason in quarantine is in no catalog.
        left = {name: clip.get(name) for name in ("clip_id", "source", "source_url", "page_url")}
        left |= {"language": language, "reason": Reason.FORGOTTEN.value, "detail": "Somebody wished it."}
        store.put(keys.quarantine(language, clip["clip_id"], "json"), json.dumps(left).encode())
    gone = [
        item.key
        for prefix in (f"raw/{language}/", keys.quarantine(language))
        for item in store.list(prefix)
        if not item.key.endswith(".json") and item.key.removeprefix(prefix).partition(".")[0] in clip_ids
    ]
    for recipe_id in store.folders("augmented/"):
        gone += _batches(store, keys.augmented(recipe_id, language), clip_ids)
    for key in gone:
        store.delete(key)
    catalog.remove(store, language, clip_ids)
    catalog.index_refusals(store, language)
    return len(gone)


def _batches(store: Store, prefix: str, clip_ids: set[str]) -> Iterator[str]:
    """Yield the keys of the batches of shards that hold any of the clips; augment makes the rest anew."""
    for folder in store.folders(prefix):
        index = f"{prefix}{folder}/index.parquet"
        try:
            table = pq.read_table(io.BytesIO(store.get(index)), columns=["clip_id"])
        except MissingObject:
            continue
        if not clip_ids.isdisjoint(table["clip_id"].to_pylist()):
            yield index
            yield from (item.key for item in store.list(f"{prefix}{folder}/") if item.key != index)


def _staged(store: Store, wish: Wishes) -> Iterator[tuple[str, list[dict[str, Any]], list[str]]]:
    """Yield the folders of staging that have something of it, the items that stay, and the files that go."""
    for source in store.folders("staging/"):
        for run in store.folders(keys.staging_of_source(source)):
            for language in store.folders(f"staging/{source}/{run}/"):
                folder = keys.staging(source, run, language)
                try:
                    lines = store.get(folder + "items.jsonl").decode().split("\n")
                except MissingObject:
                    continue
                items = [json.loads(line) for line in lines if line]
                going = [item for item in items if wish.cover(item)]
                if going:
                    kept = [item for item in items if item not in going]
                    yield folder, kept, [audio_name(one["source_url"]) for one in going if one["source_url"]]


def _unstage(store: Store, folder: str, kept: list[dict[str, Any]], names: list[str]) -> int:
    for name in names:
        store.delete(f"{folder}audio/{name}")
    store.put(folder + "items.jsonl", "".join(json.dumps(item) + "\n" for item in kept).encode())
    return len(names)


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
            registry.mark(run_id, MARK, str(count))
            marked.append(run_id)
    return marked
