"""What the pages tell of clips; ``langaudio.pages.reading`` finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from langaudio import languages
from langaudio.errors import LangaudioError
from langaudio.pages.errors import NotThere
from langaudio.store import Store

CLIP_ID = r"^[0-9a-f]{1,64}$"

Split = Literal["train", "dev", "test"]
Sort = Literal["first_seen", "-first_seen", "duration_s", "-duration_s", "speech_s", "-speech_s", "title"]

_PIECE = 2**20

_TYPES = {
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "aiff": "audio/aiff",
    "au": "audio/basic",
}


def named(code: str) -> str:
    """Return a language's English name.

    Raises:
        NotThere: langaudio knows no such language.
    """
    try:
        return languages.get(code).name
    except LangaudioError as error:
        raise NotThere(str(error)) from None


@dataclass(frozen=True)
class Wanted:
    """Which clips are looked for; what is empty does not restrict them.

    Attributes:
        q: part of the title, of the address, or the id.
        split: side of the split.
        source: name of the source.
        speaker: id of the speaker.
        gone: whether the source has lost it.
        sort: column; with ``-`` the greatest first.
    """

    q: str = ""
    split: Split | None = None
    source: str = ""
    speaker: str = ""
    gone: bool | None = None
    sort: Sort = "-first_seen"


@dataclass(frozen=True)
class Clip:
    """A row of the catalog (docs/bucket.md)."""

    clip_id: str
    language: str
    source: str
    source_url: str
    page_url: str | None
    title: str | None
    speaker_id: str | None
    speaker_sex: str | None
    speaker_age: str | None
    cefr_level: str | None
    licence: str | None
    permission: str | None
    duration_s: float
    sample_rate: int
    channels: int
    bitrate: int
    speech_s: float
    sha256: str
    bytes: int
    split: str
    first_seen: datetime
    last_seen: datetime
    gone: bool
    format: str


@dataclass(frozen=True)
class ClipPage:
    """Some clips of those that were found.

    Attributes:
        found: how many there are on all pages.
        page: number of this one, from 1.
        pages: number of all.
        clips: in the order asked for.
    """

    found: int
    page: int
    pages: int
    clips: list[Clip]


@dataclass(frozen=True)
class Refusal:
    """An entry of quarantine.

    Attributes:
        clip_id: of the file, or of the page if there was no file.
        reason: docs/bucket.md lists them.
        detail: what it was, for people.
        title: as it was crawled.
        page_url: where it was found.
        source_url: address of the file.
    """

    clip_id: str
    reason: str
    detail: str
    title: str | None
    page_url: str | None
    source_url: str | None


@dataclass(frozen=True)
class RefusalPage:
    """Some entries of quarantine; ``reasons`` counts all of the language."""

    found: int
    page: int
    pages: int
    reasons: dict[str, int]
    refusals: list[Refusal]


@dataclass(frozen=True)
class Sound:
    """A clip's file."""

    key: str
    size: int
    media_type: str


def pieces(store: Store, found: Sound, begin: int, end: int) -> Iterator[bytes]:
    """Yield the bytes ``begin`` … ``end`` (exclusive) of a file, as they come from the bucket."""
    for at in range(begin, end, _PIECE):
        yield store.get_range(found.key, at, min(at + _PIECE, end))


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the bytes that a Range header asks for; None if it asks for all, or for more than one range.

    >>> [wanted_range(header, 100) for header in ("bytes=0-9", "bytes=90-", "bytes=-5", "bytes=0-1,5-6")]
    [(0, 10), (90, 100), (95, 100), None]

    Raises:
        ValueError: the file has no such bytes.
    """
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").strip())
    if asked is None or asked[0] == "bytes=-":
        return None
    first, last = asked[1], asked[2]
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
    if begin >= end:
        raise ValueError(f"bytes {header} of {size}")
    return begin, end


def media_type(extension: str) -> str:
    """Return what a browser is told that a file is."""
    return _TYPES.get(extension, "application/octet-stream")
