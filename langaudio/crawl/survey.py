"""A look at a source before anything is fetched from it: how many pages and clips, and about how long.

A survey asks for the list's first page, or for the whole of a list that comes in one piece; what the spider
finds there is counted and left alone.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from langaudio.crawl.clips import Entry, StagedClip
from langaudio.crawl.harvest import Harvest
from langaudio.crawl.sources import Source, source_named
from langaudio.crawl.stage import begin, harvest_by
from langaudio.crawl.staging import Staging
from langaudio.settings import settings
from langaudio.store import Store, keys

_FILE = "survey.json"


@dataclass(frozen=True)
class Forecast:
    """What a crawl of a language will ask for.

    Attributes:
        language: its tag.
        clips: recordings to fetch, about.
        pages: of lists and of clips.
        expected_s: about how many seconds it takes, at the rate at which the site is asked.
    """

    language: str
    clips: int
    pages: int
    expected_s: int


class Survey(Harvest):
    """Takes note of the entries of the first page, and wants none of them.

    To the spider each has been met before: so it asks for no file, and for no further page.
    """

    def is_met(self, entry: Entry) -> bool:
        self._note(entry)
        return True

    def meet(self, entry: Entry) -> StagedClip | None:
        self._note(entry)
        return None

    def close(self, costs: dict[str, Any]) -> dict[str, bytes]:
        found = {**self.counts, "announced": self.announced, "known": self.known.present}
        return {_FILE: json.dumps(found).encode()}

    def _note(self, entry: Entry) -> None:
        self.counts["seen"] += 1
        self.counts["new"] += self.known.find(entry.page_url) is None
        # Where the list links no file, the clip's own page has to be asked for.
        self.counts["without_file"] += entry.audio_url is None


def survey(
    store: Store, language: str, *, source: str, run: str, limit: int = 0, location: str = ""
) -> Forecast:
    """Return what a full crawl of a language will fetch; a run asks the source once only.

    Args:
        store: the bucket, which tells what is known already.
        language: the language's tag.
        source: a name of the registry of sources.
        run: the run's id.
        limit: the crawl's own; 0 for all.
        location: of the source ``corpus``.

    Raises:
        LangaudioError, Refused, Unavailable: as the crawl itself would.
    """
    where = source_named(source)
    where.section(language)
    staging = Staging(store, source, keys.run_id(run), language)
    if not store.exists(staging.key(_FILE)):
        order = functools.partial(begin, staging, where, at=datetime.now(UTC), full=True, kind=Survey)
        harvest_by(where, staging, order, location)
    found: dict[str, Any] = json.loads(store.get(staging.key(_FILE)))
    return _forecast(language, found, limit, _delay_s(where))


def _forecast(language: str, found: dict[str, Any], limit: int, delay_s: float) -> Forecast:
    shown, announced = found["seen"], found["announced"]
    # A list without a number came in one piece.
    listed = shown if announced is None else announced
    clips = found["new"] if announced is None else max(0, announced - found["known"])
    if limit:
        listed, clips = min(listed, limit), min(clips, limit)
    pages = math.ceil(listed / shown) if shown else found["pages"]
    pages += math.ceil(clips * found["without_file"] / shown) if shown else 0
    return Forecast(language, clips, pages, round((1 + pages + clips) * delay_s))  # 1 is robots.txt


def _delay_s(source: Source) -> float:
    hosts = {urlsplit(root).hostname for root in source.roots}
    if not source.spider or hosts <= {"127.0.0.1", "localhost", "::1"}:
        return 0.0
    return settings().download_delay_s
