"""What a crawl leaves in the bucket: audio files, what it learned of clips, its counts, then ``_SUCCESS``.

An audio file is named by the hash of its address: names from the web never become keys, and a crawl that
is run again finds what it has already fetched.
"""

from __future__ import annotations

import json
from typing import Any

from langaudio import languages
from langaudio.crawl.clips import Sighting, StagedClip, from_json_lines
from langaudio.errors import LangaudioError
from langaudio.store import MissingObject, Store, keys


class Staging:
    """The staging folder of one run and language."""

    def __init__(self, store: Store, source: str, run: str, language: str) -> None:
        self.store = store
        self.source, self.run, self.language = source, run, language
        self.folder = keys.staging(source, run, language)

    def complete(self) -> bool:
        return self.store.exists(self.key("_SUCCESS"))

    def audio_names(self) -> set[str]:
        """Return the names of the audio files that are there."""
        prefix = self.folder + "audio/"
        return {item.key.removeprefix(prefix) for item in self.store.list(prefix)}

    def put(self, name: str, data: bytes) -> str:
        """Write a file of the folder; return its key."""
        key = self.key(name)
        self.store.put(key, data)
        return key

    def succeed(self) -> None:
        """Declare the crawl complete."""
        self.put("_SUCCESS", b"")

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
        return [StagedClip(**item) for item in from_json_lines(self._get("items.jsonl"))]

    def sightings(self) -> list[Sighting]:
        """Return what a complete crawl learned of clips that were known."""
        try:
            return [Sighting(**item) for item in from_json_lines(self._get("sightings.jsonl"))]
        except MissingObject:
            return []

    def stats(self) -> dict[str, Any]:
        try:
            stats: dict[str, Any] = json.loads(self._get("stats.json"))
        except MissingObject:
            raise RuntimeError(f"the crawl ended well but left no {self.key('stats.json')}") from None
        return stats

    def uploaded(self) -> bool:
        return self.store.exists(self.key("_UPLOADED"))

    def close_upload(self) -> None:
        """Declare that all of this run is published or in quarantine."""
        self.put("_UPLOADED", b"")

    def key(self, name: str) -> str:
        """Return the key of a file of the folder (``items.jsonl``, ``audio/NAME``)."""
        return keys.staging(self.source, self.run, self.language, name)

    def _get(self, name: str) -> bytes:
        return self.store.get(self.key(name))


def newest_run(store: Store, source: str, language: str) -> str:
    """Return the id of the run whose crawl of this language was completed last.

    Raises:
        LangaudioError: there is none.
    """
    languages.get(language)
    done = [
        (item.modified, item.key.split("/")[2])
        for item in store.list(keys.below("staging", source))
        if item.key.endswith(f"/{language}/_SUCCESS")
    ]
    if not done:
        raise LangaudioError(
            f"No crawl of {language!r} from {source} is complete: "
            f"run `langaudio crawl {language} --source {source}` first."
        )
    return max(done)[1]
