"""The journal of crawls: what the last crawls of a language came to, for people who look.

A crawl that is refused or fails stages nothing to tell of it. The journal of a language and source is one
small object, which every crawl writes anew at its end; a source is crawled by one task at a time. Two that
end at the same moment may lose a line of it, and nothing else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from langaudio.crawl.policy import Refused
from langaudio.errors import LangaudioError, Unavailable
from langaudio.store import MissingObject, Store, keys

log = logging.getLogger(__name__)

Outcome = Literal["done", "refused", "failed"]

_KEPT = 50
_TOLD = ("announced", "seen", "new", "changed", "gone", "known", "requests", "seconds", "walk")
"""What of ``stats.json`` the journal repeats."""


@dataclass(frozen=True)
class Crawl:
    """One crawl of one language.

    Attributes:
        source: the source's name.
        run: id of the run.
        began: UTC.
        ended: UTC.
        outcome: ``done``; ``refused``, if the source does not want us; or ``failed``.
        detail: why it did not end well, in one sentence.
        counts: what it found and what it cost.
    """

    source: str
    run: str
    began: datetime
    ended: datetime
    outcome: Outcome
    detail: str = ""
    counts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def noted(store: Store, language: str, source: str, run: str) -> Iterator[dict[str, Any]]:
    """Note what becomes of a crawl; the block puts its counts into what it is given."""
    began, counts = datetime.now(UTC), dict[str, Any]()

    def note(outcome: Outcome, detail: str = "") -> None:
        told = {name: counts[name] for name in _TOLD if name in counts}
        _add(store, language, Crawl(source, run, began, datetime.now(UTC), outcome, detail, told))

    try:
        yield counts
    except LangaudioError as error:
        try:
            note("refused" if isinstance(error, Refused) else "failed", str(error))
        except Unavailable as silent:
            # What went wrong first is what is told.
            log.warning("The journal of %s was not written: %s", language, silent)
        raise
    note("done")


def read(store: Store, language: str) -> list[Crawl]:
    """Return the crawls of a language that are known, of all sources, the newest first."""
    journals = store.get_many(
        item.key for item in store.list(keys.crawls(language)) if item.key.endswith(".json")
    )
    return sorted((one for _, data in journals for one in parse(data)), key=lambda one: one.ended)[::-1]


def parse(data: bytes) -> list[Crawl]:
    """Return what an object of the journal holds, the oldest first."""
    lines: list[dict[str, Any]] = json.loads(data)
    times = ("began", "ended")
    return [Crawl(**(one | {name: datetime.fromisoformat(one[name]) for name in times})) for one in lines]


def _add(store: Store, language: str, crawl: Crawl) -> None:
    key = keys.crawls(language, crawl.source)
    try:
        before: Sequence[Crawl] = parse(store.get(key))
    except MissingObject:
        before = ()
    # A run that is repeated has one line.
    others = [one for one in before if one.run != crawl.run]
    lines = [*others[1 - _KEPT :], crawl]
    store.put(key, json.dumps([asdict(one) for one in lines], default=datetime.isoformat).encode())
