"""Speakers are people: what is kept of them is a keyed hash, and the side of the split it puts them on."""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

from langaudio.errors import LangaudioError
from langaudio.settings import settings

Split = Literal["train", "dev", "test"]

_DEV_SHARE = 0.15
_TEST_SHARE = 0.20


def speaker_id(source: str, speaker: str) -> str:
    """Return the pseudonym of a source's speaker: 20 hex digits, keyed with ``LANGAUDIO_SPEAKER_KEY``.

    Args:
        source: name of the source; the same number at two sources is two speakers.
        speaker: what identifies the speaker there, for example ``auteur925``.

    Raises:
        LangaudioError: the key is not set.
    """
    key = settings().speaker_key
    if key is None:
        raise LangaudioError(
            "LANGAUDIO_SPEAKER_KEY is not set: speakers are stored as a keyed hash only. "
            "Set it to a long random text, keep it, and never change it for this bucket."
        )
    message = f"{source}\0{speaker}".encode()
    return hmac.new(key.get_secret_value().encode(), message, hashlib.sha256).hexdigest()[:20]


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
