"""Whether a file is a recording of speech that can be trained on, and what it is; if not, the reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from langaudio import audio
from langaudio.settings import settings

_SILENCE_DBFS = -60.0
_CLIPPED_SHARE = 0.1
"""Of the samples of speech one in a hundred comes near its peak; of speech amplified by 30 dB, a fifth."""


class Reason(StrEnum):
    """Why a clip is in quarantine."""

    NO_AUDIO = "no_audio"
    """The entry links no file."""
    DOWNLOAD_FAILED = "download_failed"
    """The site does not give the file."""
    OFF_SITE = "off_site"
    """The file lies on a host that is not the source's own."""
    UNREADABLE = "unreadable"
    """The corpus names a file that is not there, or that must not be read."""
    NOT_AUDIO = "not_audio"
    """The file does not decode to its end."""
    BAD_RATE = "bad_rate"
    """Its sample rate is none that speech is recorded at."""
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SILENT = "silent"
    """Nothing in it is louder than −60 dBFS."""
    CLIPPED = "clipped"
    """It is amplified beyond full scale: more noise than speech."""
    LITTLE_SPEECH = "little_speech"
    """Too little of it is speech."""
    DUPLICATE = "duplicate"
    """The same file stands under another entry of the language."""
    TWO_LANGUAGES = "two_languages"
    """The same file stands under another language, and a person has to say which it is."""
    RELABELLED = "relabelled"
    """The source has moved the file to another language."""
    FORGOTTEN = "forgotten"
    """Somebody who is heard wished it to be removed; nothing of it is kept but its address."""
    NO_ROW = "no_row"
    """The doctor found a file in ``raw/`` that the catalog does not know."""
    LOST = "lost"
    """The doctor found a row whose file is not there, or is another."""


@dataclass(frozen=True)
class Refusal:
    """A reason, and what it was, for people."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Examined:
    """What a good file is.

    Attributes:
        speech_s: seconds of speech.
        bitrate: in bit/s.
        fingerprint: see ``langaudio.audio.fingerprint``.
        speech_regions: where there is speech, as ``langaudio.audio.in_samples`` has it.
    """

    duration_s: float
    sample_rate: int
    channels: int
    bitrate: int
    speech_s: float
    format: str
    fingerprint: bytes
    speech_regions: list[int]


def examine(data: bytes) -> Examined | Refusal:
    """Decode a file to its end and look at what is in it."""
    wanted = settings()
    try:
        decoded = audio.decode(data, wanted.max_clip_s)
    except audio.TooLong as error:
        return Refusal(Reason.TOO_LONG, str(error))
    except audio.UnusableRate as error:
        return Refusal(Reason.BAD_RATE, str(error))
    except audio.NotAudio as error:
        return Refusal(Reason.NOT_AUDIO, str(error))
    if decoded.duration_s < wanted.min_clip_s:
        needed = f"at least {wanted.min_clip_s} s are needed."
        return Refusal(Reason.TOO_SHORT, f"{decoded.duration_s:.2f} s; {needed}")
    level = np.abs(decoded.samples)
    peak = float(level.max())
    if peak < 10 ** (_SILENCE_DBFS / 20):
        return Refusal(Reason.SILENT, f"Its peak is {20 * np.log10(max(peak, 1e-9)):.0f} dBFS.")
    regions = audio.speech_regions(decoded.samples)
    speech_s = sum(end - begin for begin, end in audio.speech_segments(regions))
    if speech_s < wanted.min_speech_s:
        detail = f"{speech_s:.1f} s of speech; at least {wanted.min_speech_s} s are needed."
        return Refusal(Reason.LITTLE_SPEECH, detail)
    clipped = float((level > 0.9 * peak).mean())
    if clipped > _CLIPPED_SHARE:
        return Refusal(Reason.CLIPPED, f"{clipped:.0%} of its samples are at its peak.")
    return Examined(
        duration_s=decoded.duration_s,
        sample_rate=decoded.sample_rate,
        channels=decoded.channels,
        bitrate=round(8 * len(data) / decoded.duration_s),
        speech_s=speech_s,
        format=decoded.format,
        fingerprint=audio.fingerprint(decoded.samples),
        speech_regions=audio.in_samples(regions),
    )
