"""What a crawl leaves in the bucket: audio files, what it learned of clips, its counts, then ``_SUCCESS``.

An audio file is named by the hash of its address: names from the web never become keys, and a crawl that
is run again finds what it has already fetched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from langaudio import languages
from langaudio.errors import LangaudioError
from langaudio.store import MissingObject, Store, keys


@dataclass(frozen=True)
class StagedClip:
    """A clip as the source shows it. ``docs/bucket.md`` tells the fields that the catalog keeps.

    Attributes:
        audio: name of the staged file, or None if there is none to be had.
        problem: why there is none: ``no_audio``, ``download_failed`` or ``off_site``.
        problem_detail: the same for people.
        seen: time of the run, UTC: the same for all clips of a run.
        published: day on which the source published it, ISO 8601.
        replaces: id of the clip whose file this page had before.
    """

    language: str
    source: str
    page_url: str
    title: str | None
    source_url: str | None
    speaker_id: str | None
    speaker_sex: str | None
    speaker_age: str | None
    cefr_level: str | None
    licence: str | None
    permission: str | None
    seen: datetime
    audio: str | None = None
    problem: str | None = None
    problem_detail: str | None = None
    replaces: str | None = None
    published: str | None = None


@dataclass(frozen=True)
class Sighting:
    """What a crawl learned of a clip, or of a refused entry, that the corpus knows.

    Attributes:
        clip_id: its id in the catalog or in quarantine.
        seen: time of the run, UTC.
        gone: the source no longer lists it.
        changes: columns of the catalog, and what the source says now.
    """

    clip_id: str
    seen: datetime
    gone: bool = False
    changes: dict[str, str] = field(default_factory=dict)


def audio_name(source_url: str) -> str:
    """Return the name under which the file of this address is staged."""
    return hashlib.sha256(source_url.encode()).hexdigest()[:20]


class Staging:
    """The staging folder of one run and language."""

    def __init__(self, store: Store, source: str, run: str, language: str) -> None:
        self._store = store
        self.source, self.run, self.language = source, run, language

    def complete(self) -> bool:
        return self._store.exists(self._key("_SUCCESS"))

    def audio_names(self) -> set[str]:
        """Return the names of the audio files that are there."""
        prefix = self._key() + "audio/"
        return {item.key.removeprefix(prefix) for item in self._store.list(prefix)}

    def put_audio(self, name: str, data: bytes) -> None:
        self._store.put(self.audio_key(name), data)

    def audio_key(self, name: str) -> str:
        return keys.staged_audio(self.source, self.run, self.language, name)

    def keep_page(self, name: str, page: bytes) -> str:
        """Keep a page that could not be read, for people to look at; return its key."""
        key = keys.staged_page(self.source, self.run, self.language, name)
        self._store.put(key, page)
        return key

    def close(
        self, clips: Sequence[StagedClip], sightings: Sequence[Sighting], stats: dict[str, Any]
    ) -> None:
        """Write the items and the counts, and declare the crawl complete."""
        self._store.put(self._key("items.jsonl"), _json_lines(clips))
        if sightings:
            self._store.put(self._key("sightings.jsonl"), _json_lines(sightings))
        self._store.put(self._key("stats.json"), json.dumps(stats, indent=1).encode())
        self._store.put(self._key("_SUCCESS"), b"")

    def clips(self) -> list[StagedClip]:
        """Return the items of a complete crawl.

        Raises:
            LangaudioError: the crawl is not complete.
        """
        if not self.complete():
            raise LangaudioError(
                f"Run {self.run!r} has no complete crawl of {self.language!r} from {self.source}: "
                f"run `langaudio crawl {self.language} --source {self.source} --run-id {self.run}` first."
            )
        return [StagedClip(**item) for item in self._read_lines("items.jsonl")]

    def sightings(self) -> list[Sighting]:
        """Return what a complete crawl learned of clips that were known."""
        try:
            return [Sighting(**item) for item in self._read_lines("sightings.jsonl")]
        except MissingObject:
            return []

    def stats(self) -> dict[str, Any]:
        try:
            stats: dict[str, Any] = json.loads(self._store.get(self._key("stats.json")))
        except MissingObject:
            raise RuntimeError(f"the crawl ended well but left no {self._key('stats.json')}") from None
        return stats

    def uploaded(self) -> bool:
        return self._store.exists(self._key("_UPLOADED"))

    def close_upload(self) -> None:
        """Declare that all of this run is published or in quarantine."""
        self._store.put(self._key("_UPLOADED"), b"")

    def _read_lines(self, name: str) -> list[dict[str, Any]]:
        # Not splitlines: titles hold every separator that Unicode knows.
        lines = self._store.get(self._key(name)).decode().split("\n")
        items = [json.loads(line) for line in lines if line]
        return [item | {"seen": datetime.fromisoformat(item["seen"])} for item in items]

    def _key(self, name: str = "") -> str:
        return keys.staging(self.source, self.run, self.language, name)


def newest_run(store: Store, source: str, language: str) -> str:
    """Return the id of the run whose crawl of this language was completed last.

    Raises:
        LangaudioError: there is none.
    """
    languages.get(language)
    done = [
        (item.modified, item.key.split("/")[2])
        for item in store.list(keys.staging_of_source(source))
        if item.key.endswith(f"/{language}/_SUCCESS")
    ]
    if not done:
        raise LangaudioError(
            f"No crawl of {language!r} from {source} is complete: "
            f"run `langaudio crawl {language} --source {source}` first."
        )
    return max(done)[1]


def _json_lines(items: Sequence[StagedClip] | Sequence[Sighting]) -> bytes:
    lines = [json.dumps(vars(item), default=datetime.isoformat) for item in items]
    return "".join(line + "\n" for line in lines).encode()
