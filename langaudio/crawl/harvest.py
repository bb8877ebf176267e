"""What becomes of the entries that a crawl meets: new, known, changed, refused, and gone at its end.

Spiders and readers find entries, each in its own way; everything that they have in common is here. It knows
no bucket: a spider's harvest is handed to a child process.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from langaudio.crawl.clips import Entry, Sighting, StagedClip, audio_name, to_json_lines
from langaudio.crawl.known import KnownClip, KnownClips
from langaudio.crawl.policy import Refused
from langaudio.errors import LangaudioError
from langaudio.speakers import Pseudonyms

log = logging.getLogger(__name__)

_DESCRIPTION = ("title", "speaker_sex", "speaker_age", "cefr_level", "licence", "permission")
"""Columns that follow the source. The speaker does not: it decides the split, which must not change."""

_NO_COSTS = {"requests": 0, "response_bytes": 0, "waited_s": 0.0}
"""What it costs to read recordings that lie ready."""

_TRY_AGAIN = ("no_audio", "download_failed", "lost")
"""Reasons of quarantine that may pass: a full walk looks again."""


@dataclass(frozen=True)
class Order:
    """What a crawl is asked for.

    Attributes:
        at: time that the run stands for, UTC.
        limit: entries to look at, the newest first; 0 for all.
        full: walk to the end even if known ground is reached.
        full_walk_days: days after which a walk goes to the end in any case.
        max_missing_share: share of the announced clips that a full walk may not find.
        max_gone_share: share of the known clips that a full walk may find gone.
        consent: reference of the owner's written consent, kept with every clip.
    """

    at: datetime
    limit: int
    full: bool
    full_walk_days: float
    max_missing_share: float
    max_gone_share: float
    consent: str | None = None
    forgotten_speakers: frozenset[str] = frozenset()
    """Pseudonyms of those whose clips are not wanted any more."""


class Harvest:
    """The entries of one crawl.

    Args:
        language: its tag.
        pseudonyms: stand for the source's speakers.
        known: what the corpus knows of this source's language.
        staged: names of the audio files that are staged: an earlier attempt of this run was cut off.
        order: what the crawl is asked for.

    Attributes:
        source: the source's name.
        full: whether the walk goes to the end, so that what it does not meet is gone.
        scope: what the addresses begin with that the walk goes through; empty for all of the source.
        announced: how many clips the source says that it has.
        counts: what is told at the end; ``refused`` is by reason.
    """

    def __init__(
        self, language: str, pseudonyms: Pseudonyms, known: KnownClips, staged: set[str], order: Order
    ) -> None:
        self.language, self.source = language, pseudonyms.source
        self.known, self.order = known, order
        self.full = order.full or self._full_walk_is_due()
        self.scope = ""
        self.announced: int | None = None
        self.refused: Counter[str] = Counter()
        self.counts: Counter[str] = Counter(pages=0, seen=0, known=0, new=0, changed=0, gone=0, audio_bytes=0)
        self._clips: list[StagedClip] = []
        self._sightings: list[Sighting] = []
        self._met: set[str] = set()
        self._refusal: Refused | None = None
        self._unknown = 0
        self._without_file = 0
        self._begin = time.monotonic()
        self._pseudonyms = pseudonyms
        self._staged_before = staged

    @property
    def satisfied(self) -> bool:
        """Whether as many entries were seen as were asked for."""
        return bool(self.order.limit) and self.counts["seen"] >= self.order.limit

    def may_stop(self) -> bool:
        """Tell, where the list shows known clips only, whether the rest may be taken for known, too.

        If clearly more clips are announced than are known now, known ground has gaps: the walk becomes a
        full one.
        """
        have = self.known.present + self._unknown
        if not self.full and have < (self.announced or 0) * (1 - self.order.max_missing_share):
            log.info("%d clips are announced and %d known: walking to the end", self.announced, have)
            self.full = True
        return not self.full

    def is_met(self, entry: Entry) -> bool:
        """Tell whether this crawl has met the entry: a list past its end shows its last page again."""
        return self.known.address(entry.page_url) in self._met

    def meet(self, entry: Entry) -> StagedClip | None:
        """Take note of an entry; return it as a clip if its file is wanted."""
        address = self.known.address(entry.page_url)
        if address in self._met or self.satisfied:
            return None
        self._met.add(address)
        self.counts["seen"] += 1
        self._without_file += entry.audio_url is None
        if entry.speaker and self._pseudonyms.of(entry.speaker) in self.order.forgotten_speakers:
            self.leave_out("forgotten")
            return None
        known = self.known.find(entry.page_url)
        self._unknown += known is None
        if known is None or self._is_to_try_again(known):
            return self._as_clip(entry)
        if known.reason is None and entry.audio_url and self._has_moved(known, entry.audio_url):
            return replace(self._as_clip(entry), replaces=known.clip_id)
        self._see(known, entry)
        return None

    def is_staged(self, clip: StagedClip) -> bool:
        return clip.audio in self._staged_before

    def keep(self, clip: StagedClip, audio_bytes: int = 0) -> None:
        """Keep a clip for upload: its file is staged, or it has a problem."""
        self.counts["audio_bytes"] += audio_bytes
        self.counts["changed" if clip.replaces else "new"] += 1
        if clip.problem:
            self.refused[clip.problem] += 1
        self._clips.append(clip)

    def leave_out(self, reason: str) -> None:
        """Count an entry that leaves no trace in the bucket."""
        self.refused[reason] += 1

    def refuse(self, refusal: Refused) -> None:
        """Leave out a file that the source's rules keep from us."""
        log.warning("%s", refusal)
        self.leave_out(refusal.reason)
        self._refusal = refusal

    def close(self, costs: dict[str, Any]) -> dict[str, bytes]:
        """Return what the staging folder is to keep of the crawl: files by name.

        Args:
            costs: what else ``stats.json`` is to tell: of a site, requests, bytes, seconds waited.

        Raises:
            LangaudioError: clearly fewer clips came out than were announced, or than were known, or most of
                them have no file.
            Refused: the rules keep every new file from us.
        """
        if self._refusal and not self._clips and not self.counts["known"]:
            raise self._refusal
        self._verify_files()
        walked_all = self.full and not self.satisfied
        if walked_all:
            self._verify_number()
            self._note_what_is_gone()
        stats = {
            "walk": "full" if walked_all else "limited" if self.full else "to known ground",
            "announced": self.announced,
            **self.counts,
            "refused": dict(sorted(self.refused.items())),
            **_NO_COSTS,
            **costs,
            "seconds": round(time.monotonic() - self._begin, 3),
        }
        clips = sorted(self._clips, key=lambda clip: clip.page_url)
        sightings = sorted(self._sightings, key=lambda sighting: sighting.clip_id)
        log.info("%s: %s", self.language, _sentence(stats))
        files = {"items.jsonl": to_json_lines(clips), "stats.json": json.dumps(stats, indent=1).encode()}
        return files | ({"sightings.jsonl": to_json_lines(sightings)} if sightings else {})

    def _full_walk_is_due(self) -> bool:
        first = self.known.first_sighting
        return first is None or self.order.at - first >= timedelta(days=self.order.full_walk_days)

    def _is_to_try_again(self, known: KnownClip) -> bool:
        return self.full and known.reason in _TRY_AGAIN

    def _has_moved(self, known: KnownClip, audio_url: str) -> bool:
        return self.known.address(audio_url) != self.known.address(known.source_url or "")

    def _as_clip(self, entry: Entry) -> StagedClip:
        return StagedClip(
            language=self.language,
            source=self.source,
            page_url=entry.page_url,
            title=entry.title,
            published=entry.published.isoformat() if entry.published else None,
            source_url=entry.audio_url,
            speaker_id=entry.speaker and self._pseudonyms.of(entry.speaker),
            speaker_sex=entry.speaker_sex,
            speaker_age=entry.speaker_age,
            cefr_level=entry.cefr_level,
            licence=entry.licence,
            permission=self.order.consent,
            seen=self.order.at,
            audio=entry.audio_url and audio_name(entry.audio_url),
        )

    def _see(self, known: KnownClip, entry: Entry) -> None:
        self.counts["known"] += 1
        changes = {}
        if known.reason is None:
            told = {name: getattr(entry, name, None) for name in _DESCRIPTION} | {
                "permission": self.order.consent
            }
            # A page that no longer says something does not unsay it.
            changes = {name: new for name, new in told.items() if new and new != known.row[name]}
        self.counts["changed"] += bool(changes)
        if changes or known.gone or (self.full and known.reason is None):
            self._sightings.append(Sighting(known.clip_id, self.order.at, changes=changes))

    def _verify_files(self) -> None:
        seen, without = self.counts["seen"], self._without_file
        # An entry without a file is one; a page full of them is another page.
        if without > max(4, seen / 2):
            raise LangaudioError(
                f"{self.source}, {self.language}: {without} of {seen} entries link no file: the site's pages "
                "may have changed. Look at them."
            )

    def _verify_number(self) -> None:
        seen, announced = self.counts["seen"], self.announced
        if announced is not None and seen < announced:
            sentence = f"{announced} clips are announced and {seen} came out"
            if seen < announced * (1 - self.order.max_missing_share):
                raise LangaudioError(
                    f"{self.source}, {self.language}: {sentence}: the site's pages may have "
                    "changed. Look at them; LANGAUDIO_MAX_MISSING_SHARE says what is let pass."
                )
            log.warning("%s: %s", self.language, sentence)

    def _note_what_is_gone(self) -> None:
        gone = list(self.known.missing_from(self._met, self.scope))
        present = sum(1 for _ in self.known.missing_from((), self.scope)) if gone else 0
        if len(gone) > max(10, present * self.order.max_gone_share) or (gone and not self._met):
            raise LangaudioError(
                f"{self.source}, {self.language}: of {present} known clips "
                f"{len(gone)} are no longer listed: is the site whole? If they really are gone, raise "
                "LANGAUDIO_MAX_GONE_SHARE."
            )
        self.counts["gone"] += len(gone)
        self._sightings += [Sighting(clip.clip_id, self.order.at, gone=True) for clip in gone]


def _sentence(stats: dict[str, Any]) -> str:
    refused = ", ".join(f"{number} {reason}" for reason, number in stats["refused"].items()) or "none"
    told = ("seen", "new", "changed", "gone", "pages", "requests")
    found = ", ".join(f"{stats[name]} {name}" for name in told)
    size = f"{stats['audio_bytes']} bytes of audio, {stats['response_bytes']} received"
    time_s = f"{stats['seconds']:.1f} s, {stats['waited_s']:.1f} of them waited"
    news = stats["new"] or stats["changed"] or stats["gone"]
    return f"{'' if news else 'nothing new: '}{found}; refused: {refused}; {size}; {time_s}"
