"""Speakers are people: what is kept of them is a keyed hash, and the side of the split it puts them on."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

from langaudio.errors import LangaudioError

Split = Literal["train", "dev", "test"]

_DEV_SHARE = 0.15
_TEST_SHARE = 0.20


@dataclass(frozen=True)
class Pseudonyms:
    """What stands for the speakers of a source.

    Attributes:
        source: its name; the same number at two sources is two speakers.
        key: of the hash.
    """

    source: str
    key: bytes = field(repr=False)

    def of(self, speaker: str) -> str:
        """Return 20 hex digits for what identifies a speaker at the source, for example ``auteur925``."""
        message = f"{self.source}\0{speaker}".encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:20]


def pseudonyms(source: str) -> Pseudonyms:
    """Return the pseudonyms of a source's speakers, keyed with ``LANGAUDIO_SPEAKER_KEY``.

    Raises:
        LangaudioError: the key is not set.
    """
    # Not at the top: a crawl's child is handed the key, and starts faster without the settings.
    from langaudio.settings import settings

    key = settings().speaker_key
    if key is None:
        raise LangaudioError(
            "LANGAUDIO_SPEAKER_KEY is not set: speakers are stored as a keyed hash only. "
            "Set it to a long random text, keep it, and never change it for this bucket."
        )
    return Pseudonyms(source, key.get_secret_value().encode())


def speaker_id(source: str, speaker: str) -> str:
    """Return the pseudonym of a source's speaker; see ``Pseudonyms``."""
    return pseudonyms(source).of(speaker)


def split_of(speaker: str | None) -> Split:
    """Return the side of the split that a speaker is on, from the pseudonym alone.

    Clips whose speaker is unknown are training clips: any of them may be of a speaker whom we test.
    """
    if speaker is None:
        return "train"
    # A second hash, so that the split does not depend on which digits the pseudonym keeps.
    draw = int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8], "big") / 2**64
    if draw < _TEST_SHARE:
        return "test"
    if draw < _TEST_SHARE + _DEV_SHARE:
        return "dev"
    return "train"
