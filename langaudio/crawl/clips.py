"""What a source says of a clip, and what a crawl makes of it. Light: spiders need no more of the library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A clip as a source shows it; None is what it does not say.

    Attributes:
        page_url: address of the clip's page; the clip is known by it. A source without pages gives the
            file's address.
        audio_url: address of the file, or None if the entry links none.
        published: day on which the source published it.
        speaker: the source's identifier of the speaker (``auteur925``); only its hash is ever stored.
        licence: the licence's address, or its name.
    """

    page_url: str
    audio_url: str | None
    title: str | None = None
    published: date | None = None
    speaker: str | None = None
    speaker_sex: str | None = None
    speaker_age: str | None = None
    cefr_level: str | None = None
    licence: str | None = None


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


def content_id(data: bytes) -> str:
    """Return the id of a clip with these bytes."""
    return hashlib.sha256(data).hexdigest()[:20]


def to_json_lines(items: Sequence[StagedClip] | Sequence[Sighting]) -> bytes:
    lines = [json.dumps(vars(item), default=datetime.isoformat) for item in items]
    return "".join(line + "\n" for line in lines).encode()


def from_json_lines(data: bytes) -> list[dict[str, Any]]:
    # Not splitlines: titles hold every separator that Unicode knows.
    items = [json.loads(line) for line in data.decode().split("\n") if line]
    return [item | {"seen": datetime.fromisoformat(item["seen"])} for item in items]
