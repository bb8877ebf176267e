"""What the pages tell of the corpus, read from the bucket.

The sums over a language are kept, by the ETags of what they were made of; so a page costs a few listings,
and what was crawled since is read once.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from langaudio import languages
from langaudio.crawl.journal import Crawl
from langaudio.errors import suggest
from langaudio.pages import tasks
from langaudio.pages.clips import Clip, ClipPage, RefusalPage, Sound, Wanted
from langaudio.pages.errors import NotThere
from langaudio.settings import settings
from langaudio.store import ObjectInfo, Store, default_store, keys
from langaudio.workers import Workers

State = Literal["fresh", "stale", "failed", "refused", "missing"]
STATES: Sequence[State] = ("fresh", "stale", "failed", "refused", "missing")

_QUARANTINE_S = 60.0


@dataclass(frozen=True)
class Clips:
    """Sums over the clips of a language; durations in seconds."""

    clips: int = 0
    gone: int = 0
    speakers: int = 0
    duration_s: float = 0.0
    speech_s: float = 0.0
    train: int = 0
    dev: int = 0
    test: int = 0
    last_seen: datetime | None = None


@dataclass(frozen=True)
class LanguageSummary:
    """What the overview tells of a language.

    Attributes:
        code: BCP-47 tag.
        name: in English.
        state: ``missing``: it has no clips; ``refused``, ``failed``: so its last crawl ended; ``stale``: the
            last one is older than LANGAUDIO_STALE_DAYS; else ``fresh``.
        detail: why its last crawl did not end well.
        clips: how many are published, and so on: see ``Clips``.
        refused: clips in quarantine.
        copies: augmented copies of the recipe that was used last.
        source: where the last crawl looked.
        last_crawl: when the last crawl that ended well did.
    """

    code: str
    name: str
    state: State
    detail: str
    clips: int
    gone: int
    speakers: int
    duration_s: float
    speech_s: float
    train: int
    dev: int
    test: int
    refused: int
    copies: int
    source: str | None
    last_crawl: datetime | None


@dataclass
class Objects:
    """The objects of a language that its summary is made of; of quarantine, the ids of clips."""

    parts: list[ObjectInfo] = field(default_factory=list)
    journals: list[ObjectInfo] = field(default_factory=list)
    indexes: list[ObjectInfo] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Learned:
    """What is read from the objects of a language: sums, and its crawls, the newest first."""

    clips: Clips
    copies: int
    crawls: list[Crawl]


class Corpus:
    """The corpus of the bucket that the settings name.

    Args:
        workers: processes that read what has changed.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._learned: dict[str, tuple[object, Learned]] = {}
        self._refused: tuple[float, object, dict[str, list[str]]] | None = None
        self._lock = threading.Lock()

    def find(self, language: str, wanted: Wanted, page: int, per_page: int) -> ClipPage:
        """Return a page of a language's clips."""
        return self._workers.call(tasks.find_clips, language, wanted, page, per_page)

    def sources(self, language: str) -> list[str]:
        """Return the sources that a language's clips are from."""
        return self._workers.call(tasks.sources, language)

    def clip(self, language: str, clip_id: str) -> Clip:
        """Return a clip."""
        return self._workers.call(tasks.clip, language, clip_id)

    def refused(self, language: str, reason: str, page: int, per_page: int) -> RefusalPage:
        """Return a page of a language's quarantine."""
        return self._workers.call(tasks.refused_clips, language, reason, page, per_page)

    def sound(self, language: str, clip_id: str) -> Sound:
        """Return the file of a clip, or of one in quarantine."""
        return self._workers.call(tasks.sound, language, clip_id)

    def summaries(self) -> list[LanguageSummary]:
        """Return all languages that the corpus has or that langaudio knows, by name."""
        store = default_store()
        with ThreadPoolExecutor(3) as pool:
            prefixes = (keys.catalog(), keys.crawls(), keys.below("augmented"))
            listings = list(pool.map(lambda prefix: list(store.list(prefix)), prefixes))
        found = _sorted_in(item for items in listings for item in items)
        for code, refused in self._quarantine(store, listings[:2]).items():
            found[code].refused = refused
        have = self._summarised(found)
        lacking = [_lacking(code) for code in languages.LANGUAGES if code not in found]
        return sorted([*have, *lacking], key=lambda one: one.name)

    def summary(self, code: str) -> LanguageSummary:
        """Return one language.

        Raises:
            NotThere: it is unknown.
        """
        if code not in languages.LANGUAGES:
            raise NotThere(f"{code!r} is not a known language tag{suggest(code, languages.LANGUAGES)}.")
        store = default_store()
        prefixes = [keys.catalog(code), keys.crawls(code)]
        prefixes += [keys.augmented(recipe, code) for recipe in store.folders(keys.below("augmented"))]
        found = _sorted_in(item for prefix in prefixes for item in store.list(prefix))
        if refused := _refused(store.list(keys.quarantine(code))).get(code):
            found[code].refused = refused
        return self._summarised(found)[0] if found else _lacking(code)

    def _summarised(self, found: Mapping[str, Objects]) -> list[LanguageSummary]:
        identities = {code: _identity(objects) for code, objects in found.items()}
        with self._lock:
            kept = {code: self._learned.get(code) for code in found}
        changed = {code: found[code] for code, one in kept.items() if not one or one[0] != identities[code]}
        learned = {code: one[1] for code, one in kept.items() if one}
        if changed:
            learned |= self._workers.call(tasks.learned, changed)
            with self._lock:
                self._learned |= {code: (identities[code], learned[code]) for code in changed}
        return [_summary(code, objects, learned[code]) for code, objects in found.items()]

    def _quarantine(self, store: Store, listings: Sequence[Sequence[ObjectInfo]]) -> dict[str, list[str]]:
        """Return the ids of the clips in quarantine by language.

        It is the longest listing and changes with the catalog, or by a person's hand: so it is kept until the
        catalog or the journal of crawls changes, or for a minute.
        """
        identity = tuple((item.key, item.etag) for items in listings for item in items)
        kept, now = self._refused, time.monotonic()
        if kept and kept[1] == identity and now - kept[0] < _QUARANTINE_S:
            return kept[2]
        refused = _refused(store.list(keys.below("quarantine")))
        self._refused = now, identity, refused
        return refused


def _summary(code: str, objects: Objects, learned: Learned) -> LanguageSummary:
    clips, crawls = learned.clips, learned.crawls
    done = next((one for one in crawls if one.outcome == "done"), None)
    # A corpus from before the journal tells by what its crawls have found.
    written = max((part.modified for part in objects.parts), default=None)
    last_crawl = done.ended if done else written
    state = _state(clips, crawls, last_crawl)
    return LanguageSummary(
        code=code,
        name=_name(code),
        state=state,
        detail=crawls[0].detail if state in ("failed", "refused") else "",
        clips=clips.clips,
        gone=clips.gone,
        speakers=clips.speakers,
        duration_s=clips.duration_s,
        speech_s=clips.speech_s,
        train=clips.train,
        dev=clips.dev,
        test=clips.test,
        refused=len(objects.refused),
        copies=learned.copies,
        source=crawls[0].source if crawls else None,
        last_crawl=last_crawl,
    )


def _sorted_in(items: Iterable[ObjectInfo]) -> dict[str, Objects]:
    """Return what each language has; of languages that langaudio does not know nothing is told."""
    found: dict[str, Objects] = defaultdict(Objects)
    for item in items:
        top, *folders, name = item.key.split("/")
        code = folders[1 if top == "augmented" else 0] if folders else ""
        if code not in languages.LANGUAGES:
            continue
        if top == "augmented" and name == "index.parquet":
            found[code].indexes.append(item)
        elif top == "catalog" and name.endswith(".parquet"):
            found[code].parts.append(item)
        elif top == "crawls" and name.endswith(".json"):
            found[code].journals.append(item)
    return found


def _refused(items: Iterable[ObjectInfo]) -> dict[str, list[str]]:
    refused: dict[str, list[str]] = defaultdict(list)
    for item in items:
        _, code, name = item.key.split("/")
        if name.endswith(".json") and code in languages.LANGUAGES:
            refused[code].append(name.removesuffix(".json"))
    return refused


def _identity(objects: Objects) -> object:
    items = (*objects.parts, *objects.journals, *objects.indexes)
    return tuple((item.key, item.etag) for item in items), tuple(objects.refused)


def _state(clips: Clips, crawls: Sequence[Crawl], last_crawl: datetime | None) -> State:
    if crawls and crawls[0].outcome != "done":
        return "refused" if crawls[0].outcome == "refused" else "failed"
    if not clips.clips or last_crawl is None:
        return "missing"
    old = datetime.now(UTC) - last_crawl > timedelta(days=settings().stale_days)
    return "stale" if old else "fresh"


def _lacking(code: str) -> LanguageSummary:
    nothing = Clips()
    return LanguageSummary(
        code, _name(code), "missing", "", nothing.clips, 0, 0, 0.0, 0.0, 0, 0, 0, 0, 0, None, None
    )


def _name(code: str) -> str:
    return languages.get(code).name
