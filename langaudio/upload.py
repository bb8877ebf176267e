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
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from langaudio import audio, catalog, languages
from langaudio.crawl.clips import Sighting, StagedClip, content_id
from langaudio.crawl.staging import Staging
from langaudio.examine import Examined, Reason, Refusal, examine
from langaudio.speakers import split_of
from langaudio.store import Store, Writing, keys
from langaudio.wishes import wishes

log = logging.getLogger(__name__)

_TOLD_EVERY = 200
"""Clips, after which the log tells how far it is: half a minute of work."""

_EXTENSIONS = ("mp3", "ogg", "opus", "wav", "flac")
_WHERE_FROM = ("source", "source_url", "page_url", "title")
_DESCRIBED = (
    *("language", "source", "source_url", "page_url", "title", "speaker_id", "speaker_sex", "speaker_age"),
    *("cefr_level", "licence", "permission"),
)
_IDENTITY = ("clip_id", "language", "gone", "format", *_WHERE_FROM)


@dataclass(frozen=True)
class UploadReport:
    """What an upload did: counts of clips.

    ``same_recording`` has pairs of clips that sound the same though their files differ, of which one is new
    and the other of any language; both are published.
    """

    published: int
    known: int
    changed: int
    gone: int
    quarantined: dict[str, int]
    same_recording: list[tuple[str, str]] = field(default_factory=list)


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
        with store.writing() as writing:
            report = _Upload(store, staging, writing).run(clips, sightings)
    else:
        report = UploadReport(0, 0, 0, 0, {})
    log.info("%s: %s", language, json.dumps(asdict(report)))
    return report


class _Upload:
    """One upload. It begins with what an attempt that was cut off has done."""

    def __init__(self, store: Store, staging: Staging, writing: Writing) -> None:
        self._store, self._staging, self._writing = store, staging, writing
        self._language = staging.language
        self._published_before = catalog.ids(store, self._language)
        self._refused = catalog.quarantined(store, self._language)
        self._rows = {row["clip_id"]: row for row in catalog.read_part(store, self._language, staging.run)}
        self._lost = {
            reason["clip_id"]
            for reason in catalog.refusals(store, self._language)
            if reason["reason"] in (Reason.LOST, Reason.NO_ROW)
        }
        self._wishes = wishes(store)
        self._known: dict[str, dict[str, Any]] = {}
        self._published: set[str] = set()
        self._reasons: Counter[str] = Counter()
        self._going: set[str] = set()
        self._seen_before = 0

    def run(self, clips: Sequence[StagedClip], sightings: Sequence[Sighting]) -> UploadReport:
        staged, again = set(), []
        log.info("%s: %d clips are staged", self._language, len(clips))
        self._going = {sighting.clip_id for sighting in sightings if sighting.gone}
        for number, (clip, data) in enumerate(_with_audio(self._store, self._staging, clips), 1):
            if number % _TOLD_EVERY == 0:
                log.info("%s: %d of %d clips are examined", self._language, number, len(clips))
            clip_id = _page_id(clip) if clip.problem else content_id(data)
            if self._wishes.cover({"clip_id": clip_id} | asdict(clip)):
                self._reasons[Reason.FORGOTTEN.value] += 1
                continue
            if clip.problem:
                problem = Refusal(Reason(clip.problem), clip.problem_detail or "")
                self._refuse(clip, clip_id, b"", problem)
                continue
            staged.add(clip_id)
            if self._has(clip_id) and clip_id not in self._lost:
                again.append((clip, clip_id))
            else:
                self._examine(clip, clip_id, data)
        replaced = {clip.replaces for clip in clips if clip.replaces}
        self._look_up({clip_id for _, clip_id in again} | {one.clip_id for one in sightings} | replaced)
        for clip, clip_id in again:
            self._settle(clip, clip_id)
        self._retire(clips)
        for sighting in sightings:
            self._note(sighting)
        # A file, then its row.
        self._writing.wait()
        catalog.write_part(self._store, self._language, self._staging.run, list(self._rows.values()))
        if not self._staging.uploaded():
            # Once only: what a person has released since then stays released.
            self._quarantine_contested({clip_id: self._rows[clip_id] for clip_id in self._new(staged)})
        catalog.index_refusals(self._store, self._language)
        self._staging.close_upload()
        catalog.compact(self._store, self._language)
        return UploadReport(
            published=len(self._published),
            known=self._seen_before,
            changed=sum(bool(sighting.changes) for sighting in sightings),
            gone=sum(sighting.gone for sighting in sightings),
            quarantined=dict(self._reasons),
            same_recording=self._find_same_recordings(),
        )

    def _new(self, staged: set[str]) -> set[str]:
        """Return the clips that this run has published: in this attempt, or in one that was cut off.

        What only moved was looked at when it was new, and a person may have decided since.
        """
        known = staged & self._rows.keys()
        return {one for one in known if self._rows[one]["first_seen"] == self._rows[one]["last_seen"]}

    def _has(self, clip_id: str) -> bool:
        return clip_id in self._rows or clip_id in self._published_before or clip_id in self._refused

    def _look_up(self, clip_ids: set[str]) -> None:
        """Read the rows of those of these clips that are published."""
        if wanted := clip_ids & self._published_before:
            table = catalog.read(self._store, self._language, clip_ids=wanted)
            self._known = {row["clip_id"]: row for row in table.to_pylist()}

    def _settle(self, clip: StagedClip, clip_id: str) -> None:
        """Say what a clip is whose file we have."""
        holder = self._holder(clip_id)
        if holder["page_url"] == clip.page_url and holder["source_url"] == clip.source_url:
            self._seen_before += 1
        elif clip_id in self._known and (self._is_gone(clip_id) or clip.replaces == clip_id):
            # The same file in a new place: its page, or the file itself, has moved.
            place = {"page_url": clip.page_url, "source_url": clip.source_url}
            self._rows[clip_id] = self._known[clip_id] | place | {"last_seen": clip.seen, "gone": False}
        else:
            detail = f"It is the same file as {clip_id}."
            page_id = _page_id(clip)
            self._refuse(clip, page_id, b"", Refusal(Reason.DUPLICATE, detail))

    def _is_gone(self, clip_id: str) -> bool:
        return clip_id in self._going or self._known[clip_id]["gone"]

    def _holder(self, clip_id: str) -> dict[str, Any]:
        """Return the row or the reason of a clip that we have."""
        if row := self._rows.get(clip_id) or self._known.get(clip_id):
            return row
        reason = json.loads(self._store.get(keys.quarantine(self._language, clip_id, "json")))
        return dict.fromkeys(("page_url", "source_url")) | reason

    def _examine(self, clip: StagedClip, clip_id: str, data: bytes) -> None:
        found = examine(data)
        if isinstance(found, Refusal):
            self._refuse(clip, clip_id, data, found)
            return
        staged = self._staging.key(f"audio/{clip.audio}")
        self._writing.put(keys.raw(self._language, clip_id, found.format), data, copy_of=staged)
        self._rows[clip_id] = _row(clip, clip_id, data, found)
        self._published.add(clip_id)
        # Earlier its page had no file, or did not give it, or we had lost it.
        for refused in {_page_id(clip), clip_id} & self._refused:
            self._writing.wait()
            for extension in ("json", found.format):
                self._store.delete(keys.quarantine(self._language, refused, extension))

    def _retire(self, clips: Sequence[StagedClip]) -> None:
        """Note that the files which others took the place of are gone."""
        for clip in clips:
            if clip.audio and clip.replaces in self._known and clip.replaces not in self._rows:
                self._rows[clip.replaces] = self._known[clip.replaces] | {
                    "last_seen": clip.seen,
                    "gone": True,
                }

    def _find_same_recordings(self) -> list[tuple[str, str]]:
        """Return pairs of a clip that is new and one of any language that sounds the same; tell of them."""
        new = sorted(self._published)
        pairs: set[tuple[str, str]] = set()
        for language in catalog.languages(self._store) if new else ():
            table = catalog.read(self._store, language, ["clip_id", "fingerprint"])
            theirs, words = table["clip_id"].to_pylist(), table["fingerprint"].to_pylist()
            ours = [self._rows[clip_id]["fingerprint"] for clip_id in new]
            for number, other in audio.matches(ours, [one or b"" for one in words]):
                one, another = sorted((new[number], theirs[other]))
                if one != another and (one, another) not in pairs:
                    pairs.add((one, another))
                    told = (self._language, new[number], theirs[other], language)
                    log.warning("%s: %s is the same recording as %s of %s, encoded anew", *told)
        return sorted(pairs)

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
            for their_row in catalog.read(self._store, other, _IDENTITY, clip_ids=rows).to_pylist():
                clip_id = their_row["clip_id"]
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


def _page_id(clip: StagedClip) -> str:
    """Return what an entry is known by whose file we do not have, or have under another entry."""
    return content_id(clip.page_url.encode())


def _row(clip: StagedClip, clip_id: str, data: bytes, found: Examined) -> dict[str, Any]:
    described = {name: getattr(clip, name) for name in _DESCRIBED}
    return (
        described
        | asdict(found)
        | {
            "clip_id": clip_id,
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "split": split_of(clip.speaker_id),
            "first_seen": clip.seen,
            "last_seen": clip.seen,
            "gone": False,
        }
    )


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
