"""What a source says of one clip, whatever the source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


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
