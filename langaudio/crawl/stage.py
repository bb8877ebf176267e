"""The crawl stage: one language of one source into staging, by Scrapy in a child process.

Scrapy's reactor cannot be started twice in one process, so every crawl is a child of its own
(``langaudio.crawl.child``). The child writes to the bucket; what the parent learns from it is one JSON
document on its standard output. A source that has a reader instead of a spider needs no child.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from langaudio.crawl.harvest import Order, begin
from langaudio.crawl.policy import Refused
from langaudio.crawl.sources import load, source_named
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError, Unavailable
from langaudio.store import Store, keys


def crawl(
    store: Store,
    language: str,
    *,
    source: str = "audio_lingua",
    run: str,
    limit: int = 0,
    full: bool = False,
    at: datetime | None = None,
    location: str = "",
) -> dict[str, Any]:
    """Stage the clips of one language that the corpus does not have yet.

    A crawl whose ``_SUCCESS`` is there is done and is not repeated; one that was cut off goes on with the
    files that it had staged.

    Args:
        store: the bucket.
        language: the language's tag.
        source: a name of the registry in ``langaudio.crawl.sources``.
        run: the run's id; one staging folder per run.
        limit: look at none but the first ``limit`` entries of the list; 0 means all.
        full: walk the whole list, even if the last full walk is not long ago.
        at: time that the run stands for, which its clips are stored with; now if None.
        location: folder or ``s3://`` prefix of the source ``corpus``; LANGAUDIO_CORPUS if empty.

    Returns:
        The counts that ``stats.json`` keeps.

    Raises:
        LangaudioError: unknown language or source, or a page that we cannot read.
        Refused: the source does not want us; so says its robots.txt, or its answer.
        Unavailable: the source or the bucket does not answer.
    """
    where = source_named(source)
    where.section(language)
    if limit < 0:
        raise LangaudioError(f"The limit of clips is {limit}; use 0 for all, or a number above.")
    staging = Staging(store, source, keys.run_id(run), language)
    if not staging.complete():
        at = at or datetime.now(UTC)
        if where.spider:
            order = {"limit": limit, "full": full, "at": at.isoformat()}
            _run_child({"language": language, "source": source, "run": staging.run, "order": order})
        else:
            harvest = begin(store, staging, where, Order(limit, at, full, where.consent))
            load(where.reader)(harvest, location)
    return staging.stats()


def _run_child(job: dict[str, Any]) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "langaudio.crawl.child"],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if child.returncode == 0:
        return
    try:
        failure = json.loads(child.stdout)
        error = _error(**failure)
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(f"the crawl's process ended with {child.returncode}: see its log above") from None
    raise error


def _error(kind: str, message: str, reason: str = "") -> LangaudioError:
    if kind == "Refused":
        return Refused(message, reason)
    return {"LangaudioError": LangaudioError, "Unavailable": Unavailable}[kind](message)
