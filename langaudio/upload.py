"""The upload stage: from staging to ``raw/`` and the catalog, or to quarantine with the reason.

A clip is published in this order: its file, then its row. So a row never lacks its object, and a run that
was cut off is simply run again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from langaudio import audio, catalog, languages
from langaudio.crawl.staging import StagedClip, Staging
from langaudio.settings import settings
from langaudio.speakers import split_of
from langaudio.store import Store, keys

log = logging.getLogger(__name__)

_SILENCE_DBFS = -60.0
_WHERE_FROM = ("source", "source_url", "page_url")


class Reason(StrEnum):
    """Why a clip is in quarantine."""

    NO_AUDIO = "no_audio"
    """The entry links no file."""
    DOWNLOAD_FAILED = "download_failed"
    """The site does not give the file."""
    NOT_AUDIO = "not_audio"
    """The file does not decode to its end."""
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SILENT = "silent"
    """Nothing in it is louder than −60 dBFS."""
    LITTLE_SPEECH = "little_speech"
    """Too little of it is speech."""
    TWO_LANGUAGES = "two_languages"
    """The same file stands under another language, and a person has to say which it is."""


@dataclass(frozen=True)
class Refusal:
    reason: Reason
    detail: str


@dataclass(frozen=True)
class UploadReport:
    """What an upload did: counts of clips."""

    published: int
    known: int
    quarantined: dict[str, int]


def upload(store: Store, language: str, *, source: str = "audio_lingua", run: str) -> UploadReport:
    """Publish the clips that a crawl staged, and quarantine the bad ones.

    Run again, it changes nothing.

    Raises:
        LangaudioError: the run has no complete crawl of this language.
        Unavailable: the bucket does not answer.
    """
    languages.get(language)
    staging = Staging(store, source, keys.run_id(run), language)
    clips = staging.clips()
    known = set(catalog.read(store, language, ["clip_id"])["clip_id"].to_pylist())
    refused = catalog.quarantined(store, language)
    rows: dict[str, dict[str, Any]] = {}
    reasons: Counter[str] = Counter()
    seen_before = 0
    for clip, data in _with_audio(store, staging, clips):
        clip_id = _clip_id(clip, data)
        if clip_id in known or clip_id in rows or clip_id in refused:
            seen_before += 1
            continue
        row = _examine(clip, clip_id, data)
        if isinstance(row, Refusal):
            _quarantine(store, clip, clip_id, data, row)
            reasons[row.reason.value] += 1
            refused.add(clip_id)
        else:
            store.put(keys.raw(language, clip_id), data)
            rows[clip_id] = row
    catalog.write_part(store, language, staging.run, list(rows.values()))
    contested = _quarantine_contested(store, language, rows)
    if contested:
        reasons[Reason.TWO_LANGUAGES.value] += contested
    report = UploadReport(len(rows) - contested, seen_before, dict(reasons))
    log.info("%s: %s", language, json.dumps(asdict(report)))
    return report


def _with_audio(
    store: Store, staging: Staging, clips: Sequence[StagedClip]
) -> Iterator[tuple[StagedClip, bytes]]:
    """Yield every clip with its bytes; with none, if none were staged."""
    files = store.get_many(staging.audio_key(clip.audio) for clip in clips if clip.audio)
    for clip in clips:
        yield clip, next(files)[1] if clip.audio else b""


def _clip_id(clip: StagedClip, data: bytes) -> str:
    # What has no bytes is known by the page that promised them.
    return hashlib.sha256(data or clip.page_url.encode()).hexdigest()[:20]


def _examine(clip: StagedClip, clip_id: str, data: bytes) -> dict[str, Any] | Refusal:
    """Return the clip's row of the catalog, or why it gets none."""
    if clip.problem:
        return Refusal(Reason(clip.problem), clip.problem_detail or "")
    try:
        decoded = audio.decode(data)
    except audio.NotAudio as error:
        return Refusal(Reason.NOT_AUDIO, str(error))
    refusal = _refuse_duration(decoded.duration_s)
    if refusal:
        return refusal
    samples = audio.to_speech_rate(decoded)
    peak = float(np.abs(samples).max())
    if peak < 10 ** (_SILENCE_DBFS / 20):
        return Refusal(Reason.SILENT, f"Its peak is {20 * np.log10(max(peak, 1e-9)):.0f} dBFS.")
    speech_s = sum(end - begin for begin, end in audio.speech_segments(audio.speech_regions(samples)))
    if speech_s < settings().min_speech_s:
        detail = f"{speech_s:.1f} s of speech; at least {settings().min_speech_s} s are needed."
        return Refusal(Reason.LITTLE_SPEECH, detail)
    return {
        "clip_id": clip_id,
        "language": clip.language,
        "source": clip.source,
        "source_url": clip.source_url,
        "page_url": clip.page_url,
        "title": clip.title,
        "speaker_id": clip.speaker_id,
        "speaker_sex": clip.speaker_sex,
        "speaker_age": clip.speaker_age,
        "cefr_level": clip.cefr_level,
        "licence": clip.licence,
        "permission": clip.permission,
        "duration_s": decoded.duration_s,
        "sample_rate": decoded.sample_rate,
        "channels": decoded.channels,
        "bitrate": round(8 * len(data) / decoded.duration_s),
        "speech_s": speech_s,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "split": split_of(clip.speaker_id),
        "first_seen": clip.seen,
        "last_seen": clip.seen,
        "gone": False,
    }


def _refuse_duration(duration_s: float) -> Refusal | None:
    shortest, longest = settings().min_clip_s, settings().max_clip_s
    if duration_s < shortest:
        return Refusal(Reason.TOO_SHORT, f"{duration_s:.2f} s; at least {shortest} s are needed.")
    if duration_s > longest:
        return Refusal(Reason.TOO_LONG, f"{duration_s:.0f} s; at most {longest:.0f} s are taken.")
    return None


def _quarantine(store: Store, clip: StagedClip, clip_id: str, data: bytes, refusal: Refusal) -> None:
    extension = PurePosixPath(urlsplit(clip.source_url or "").path).suffix.lstrip(".").lower()
    if data:
        known_extension = extension if extension in ("mp3", "ogg", "wav", "flac") else "bin"
        store.put(keys.quarantine(clip.language, clip_id, known_extension), data)
    _write_reason(store, clip.language, clip_id, refusal, json.loads(_as_json(asdict(clip))))


def _quarantine_contested(store: Store, language: str, rows: dict[str, dict[str, Any]]) -> int:
    """Quarantine the new clips that another language has as well, on both sides; return how many.

    The rows are written before this is asked. So of two uploads that run at the same time, at least the
    later one sees the other's row.
    """
    contested: set[str] = set()
    for other in catalog.languages(store):
        if other == language or not rows:
            continue
        theirs = catalog.read(store, other, ["clip_id", *_WHERE_FROM]).to_pylist()
        for their_row in theirs:
            clip_id = their_row["clip_id"]
            if clip_id in rows:
                contested.add(clip_id)
                _quarantine_published(store, language, other, rows[clip_id])
                _quarantine_published(store, other, language, their_row)
        # A third language finds the first two in quarantine already.
        for clip_id in catalog.quarantined(store, other) & rows.keys() - contested:
            contested.add(clip_id)
            _quarantine_published(store, language, other, rows[clip_id])
    return len(contested)


def _quarantine_published(store: Store, language: str, other: str, row: dict[str, Any]) -> None:
    clip_id = row["clip_id"]
    store.copy(keys.raw(language, clip_id), keys.quarantine(language, clip_id, "mp3"))
    refusal = Refusal(Reason.TWO_LANGUAGES, f"The same file stands under {other!r}.")
    _write_reason(store, language, clip_id, refusal, {name: row[name] for name in _WHERE_FROM})


def _write_reason(store: Store, language: str, clip_id: str, refusal: Refusal, clip: dict[str, Any]) -> None:
    reason = {"clip_id": clip_id, "language": language, "reason": refusal.reason, "detail": refusal.detail}
    store.put(keys.quarantine(language, clip_id, "json"), _as_json(reason | clip))
    log.warning("%s: %s quarantined as %s: %s", language, clip_id, refusal.reason, refusal.detail)


def _as_json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=str, ensure_ascii=False, indent=1).encode()
