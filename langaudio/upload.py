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
from langaudio.crawl.clips import Sighting, StagedClip
from langaudio.crawl.staging import Staging
from langaudio.settings import settings
from langaudio.speakers import split_of
from langaudio.store import Store, keys

log = logging.getLogger(__name__)

_SILENCE_DBFS = -60.0
_EXTENSIONS = ("mp3", "ogg", "opus", "wav", "flac")
_WHERE_FROM = ("source", "source_url", "page_url", "title")
_IDENTITY = ("clip_id", "language", "gone", "format", *_WHERE_FROM)


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
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    SILENT = "silent"
    """Nothing in it is louder than −60 dBFS."""
    LITTLE_SPEECH = "little_speech"
    """Too little of it is speech."""
    DUPLICATE = "duplicate"
    """The same file stands under another entry of the language."""
    TWO_LANGUAGES = "two_languages"
    """The same file stands under another language, and a person has to say which it is."""
    RELABELLED = "relabelled"
    """The source has moved the file to another language."""


@dataclass(frozen=True)
class Refusal:
    reason: Reason
    detail: str


@dataclass(frozen=True)
class UploadReport:
    """What an upload did: counts of clips."""

    published: int
    known: int
    changed: int
    gone: int
    quarantined: dict[str, int]


def upload(store: Store, language: str, *, source: str = "audio_lingua", run: str) -> UploadReport:
    """Publish the clips that a crawl staged, quarantine the bad ones, and note what changed or is gone.

    Run again, it changes nothing.

    Raises:
        LangaudioError: the run has no complete crawl of this language.
        Unavailable: the bucket does not answer.
    """
    languages.get(language)
    staging = Staging(store, source, keys.run_id(run), language)
    clips, sightings = staging.clips(), staging.sightings()
    if clips or sightings:
        report = _Upload(store, staging).run(clips, sightings)
    else:
        report = UploadReport(0, 0, 0, 0, {})
    log.info("%s: %s", language, json.dumps(asdict(report)))
    return report


class _Upload:
    """One upload. It begins with what an attempt that was cut off has done."""

    def __init__(self, store: Store, staging: Staging) -> None:
        self._store, self._staging, self._language = store, staging, staging.language
        self._known = {row["clip_id"]: row for row in catalog.read(store, self._language).to_pylist()}
        self._refused = catalog.quarantined(store, self._language)
        self._rows = {row["clip_id"]: row for row in catalog.read_part(store, self._language, staging.run)}
        self._published: set[str] = set()
        self._reasons: Counter[str] = Counter()
        self._going: set[str] = set()
        self._seen_before = 0

    def run(self, clips: Sequence[StagedClip], sightings: Sequence[Sighting]) -> UploadReport:
        staged = set()
        self._going = {sighting.clip_id for sighting in sightings if sighting.gone}
        for clip, data in _with_audio(self._store, self._staging, clips):
            staged.add(_digest(data))
            self._take(clip, data)
        for sighting in sightings:
            self._note(sighting)
        catalog.write_part(self._store, self._language, self._staging.run, list(self._rows.values()))
        if not self._staging.uploaded():
            # Once only: what a person has released since then stays released.
            own = {clip_id: row for clip_id, row in self._rows.items() if clip_id in staged}
            self._quarantine_contested(own)
        catalog.index_refusals(self._store, self._language)
        self._staging.close_upload()
        return UploadReport(
            published=len(self._published),
            known=self._seen_before,
            changed=sum(bool(sighting.changes) for sighting in sightings),
            gone=sum(sighting.gone for sighting in sightings),
            quarantined=dict(self._reasons),
        )

    def _take(self, clip: StagedClip, data: bytes) -> None:
        clip_id, page_id = _digest(data), _digest(clip.page_url.encode())
        if clip.problem:
            self._refuse(clip, page_id, b"", Refusal(Reason(clip.problem), clip.problem_detail or ""))
            return
        holder = self._holder(clip_id)
        if holder is None:
            self._examine(clip, clip_id, data)
        elif holder["page_url"] == clip.page_url and holder["source_url"] == clip.source_url:
            self._seen_before += 1
        elif clip_id in self._known and (self._is_gone(clip_id) or clip.replaces == clip_id):
            # The same file in a new place: its page, or the file itself, has moved.
            place = {"page_url": clip.page_url, "source_url": clip.source_url}
            self._rows[clip_id] = self._known[clip_id] | place | {"last_seen": clip.seen, "gone": False}
        else:
            detail = f"It is the same file as {clip_id}."
            self._refuse(clip, page_id, b"", Refusal(Reason.DUPLICATE, detail))

    def _is_gone(self, clip_id: str) -> bool:
        return clip_id in self._going or self._known[clip_id]["gone"]

    def _holder(self, clip_id: str) -> dict[str, Any] | None:
        """Return the row or the reason of a clip that we have."""
        if clip_id in self._rows or clip_id in self._known:
            return self._rows.get(clip_id) or self._known[clip_id]
        if clip_id in self._refused:
            reason = json.loads(self._store.get(keys.quarantine(self._language, clip_id, "json")))
            return dict.fromkeys(("page_url", "source_url")) | reason
        return None

    def _examine(self, clip: StagedClip, clip_id: str, data: bytes) -> None:
        row = _examine(clip, clip_id, data)
        if isinstance(row, Refusal):
            self._refuse(clip, clip_id, data, row)
            return
        self._store.put(keys.raw(self._language, clip_id, row["format"]), data)
        self._rows[clip_id] = row
        self._published.add(clip_id)
        page_id = _digest(clip.page_url.encode())
        if page_id in self._refused:
            # Earlier its page had no file, or did not give it.
            self._store.delete(keys.quarantine(self._language, page_id, "json"))
        if clip.replaces in self._known:
            self._rows[clip.replaces] = self._known[clip.replaces] | {"last_seen": clip.seen, "gone": True}

    def _refuse(self, clip: StagedClip, clip_id: str, data: bytes, refusal: Refusal) -> None:
        if clip_id in self._refused:
            self._seen_before += 1
            return
        _quarantine(self._store, clip, clip_id, data, refusal)
        self._refused.add(clip_id)
        self._reasons[refusal.reason.value] += 1

    def _note(self, sighting: Sighting) -> None:
        clip_id = sighting.clip_id
        if clip_id in self._rows:
            return
        if clip_id in self._known:
            seen = {"last_seen": sighting.seen, "gone": sighting.gone}
            self._rows[clip_id] = self._known[clip_id] | sighting.changes | seen
        elif clip_id in self._refused:
            key = keys.quarantine(self._language, clip_id, "json")
            reason = json.loads(self._store.get(key)) | {"gone": sighting.gone}
            self._store.put(key, _as_json(reason))

    def _quarantine_contested(self, rows: dict[str, dict[str, Any]]) -> None:
        """Quarantine the clips of this run that another language has as well, on both sides.

        The rows are written before this is asked. So of two uploads that run at the same time, at least the
        later one sees the other's row.
        """
        contested: set[str] = set()
        for other in catalog.languages(self._store) if rows else ():
            if other == self._language:
                continue
            for their_row in catalog.read(self._store, other, _IDENTITY).to_pylist():
                clip_id = their_row["clip_id"]
                if clip_id not in rows:
                    continue
                if their_row["gone"]:
                    detail = f"The source now lists the same file under {self._language!r}."
                    self._withdraw(their_row, Refusal(Reason.RELABELLED, detail))
                    continue
                contested.add(clip_id)
                self._withdraw(rows[clip_id], _two_languages(other))
                self._withdraw(their_row, _two_languages(self._language))
            # A third language finds the first two in quarantine already.
            for clip_id in catalog.quarantined(self._store, other) & rows.keys() - contested:
                reason = json.loads(self._store.get(keys.quarantine(other, clip_id, "json")))
                if reason["reason"] == Reason.TWO_LANGUAGES:
                    contested.add(clip_id)
                    self._withdraw(rows[clip_id], _two_languages(other))
        self._published -= contested
        if contested:
            self._reasons[Reason.TWO_LANGUAGES.value] += len(contested)

    def _withdraw(self, row: dict[str, Any], refusal: Refusal) -> None:
        """Put a published clip into quarantine; its file stays in ``raw/`` for the day it is released."""
        language, clip_id, extension = row["language"], row["clip_id"], row["format"]
        self._store.copy(
            keys.raw(language, clip_id, extension), keys.quarantine(language, clip_id, extension)
        )
        _write_reason(self._store, language, clip_id, refusal, {name: row[name] for name in _WHERE_FROM})


def _two_languages(other: str) -> Refusal:
    return Refusal(Reason.TWO_LANGUAGES, f"The same file stands under {other!r}.")


def _with_audio(
    store: Store, staging: Staging, clips: Sequence[StagedClip]
) -> Iterator[tuple[StagedClip, bytes]]:
    """Yield every clip with its bytes; with none, if none were staged."""
    files = store.get_many(staging.key(f"audio/{clip.audio}") for clip in clips if clip.audio)
    for clip in clips:
        yield clip, next(files)[1] if clip.audio else b""


def _digest(data: bytes) -> str:
    """Return the id of a clip with these bytes; what has no bytes is known by its page's address."""
    return hashlib.sha256(data).hexdigest()[:20]


def _examine(clip: StagedClip, clip_id: str, data: bytes) -> dict[str, Any] | Refusal:
    """Return the clip's row of the catalog, or why it gets none."""
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
        "format": decoded.format,
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
        known_extension = extension if extension in _EXTENSIONS else "bin"
        store.put(keys.quarantine(clip.language, clip_id, known_extension), data)
    _write_reason(store, clip.language, clip_id, refusal, json.loads(_as_json(asdict(clip))))


def _write_reason(store: Store, language: str, clip_id: str, refusal: Refusal, clip: dict[str, Any]) -> None:
    reason = {"clip_id": clip_id, "language": language, "reason": refusal.reason, "detail": refusal.detail}
    store.put(keys.quarantine(language, clip_id, "json"), _as_json(reason | clip))
    log.warning("%s: %s quarantined as %s: %s", language, clip_id, refusal.reason, refusal.detail)


def _as_json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=str, ensure_ascii=False, indent=1).encode()
