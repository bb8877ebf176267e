"""What somebody wished to be forgotten, as the stages ask for it; ``langaudio.forget`` does it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from langaudio.store import Store, keys


@dataclass(frozen=True)
class Wishes:
    """What is forgotten.

    Attributes:
        clips: ids of clips: those that were named, and those that a speaker or a source had. They are
            forgotten wherever the same bytes turn up.
        speakers: pseudonyms.
        sources: names.
    """

    clips: frozenset[str] = frozenset()
    speakers: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()

    def cover(self, described: dict[str, Any]) -> bool:
        """Tell whether a row, a reason or a staged item is of what is forgotten."""
        return (
            described.get("clip_id") in self.clips
            or described.get("speaker_id") in self.speakers
            or described.get("source") in self.sources
        )


def wishes(store: Store) -> Wishes:
    """Return everything that is forgotten in a bucket."""
    found: dict[str, set[str]] = {"clip": set(), "speaker": set(), "source": set()}
    for _, data in store.get_many(item.key for item in store.list(keys.forgotten())):
        wish = json.loads(data)
        found[wish["what"]].add(wish["name"])
        found["clip"].update(wish["clips"])
    return Wishes(frozenset(found["clip"]), frozenset(found["speaker"]), frozenset(found["source"]))
