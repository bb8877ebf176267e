"""The crawl stage: one language of one source into staging, by Scrapy in a child process.

Scrapy's reactor cannot be started twice in one process, so every crawl is a child of its own
(``langaudio.crawl.child``). The child asks the site; this process reads what the corpus knows, and writes
what the child stages. A source that has a reader instead of a spider needs no child.
"""

from __future__ import annotations

import contextlib
import functools
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from langaudio import speakers
from langaudio.crawl import journal, known
from langaudio.crawl.harvest import Harvest, Order
from langaudio.crawl.job import FAILURE, Job
from langaudio.crawl.policy import Refused
from langaudio.crawl.sources import Source, load, source_named
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings
from langaudio.store import Store, keys
from langaudio.wishes import wishes

_MAX_PAGE_BYTES = 5 * 2**20
_PIPE_BYTES = 2**20


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
        order = functools.partial(begin, staging, where, at=at or datetime.now(UTC), limit=limit, full=full)
        with journal.noted(store, language, source, staging.run) as counts:
            harvest_by(where, staging, order, location)
            counts |= staging.stats()
        staging.succeed()
    return staging.stats()


def harvest_by(source: Source, staging: Staging, order: Callable[[], Harvest], location: str = "") -> None:
    """Let a source's spider, or its reader, bring in a harvest; stage what comes of it."""
    if source.spider:
        # It imports Scrapy while we read what is known.
        with _child() as child:
            section = source.section(staging.language)
            job = Job(source.spider, source.roots, section, order(), staging.folder, manners(source))
            _crawl_by(child, job, staging)
        return
    harvest = order()
    load(source.reader)(harvest, staging.put, location)
    for name, data in harvest.close({}).items():
        staging.put(name, data)


def begin(
    staging: Staging,
    source: Source,
    *,
    at: datetime,
    limit: int = 0,
    full: bool = False,
    kind: type[Harvest] = Harvest,
) -> Harvest:
    """Return the harvest of a crawl that begins, or goes on after it was cut off."""
    wanted, wished = settings(), wishes(staging.store)
    if source.name in wished.sources:
        raise Refused(f"{source.name} is forgotten in this bucket, as its owner wished.", "forgotten")
    order = Order(
        at=at,
        limit=limit,
        full=full,
        full_walk_days=wanted.full_walk_days,
        max_missing_share=wanted.max_missing_share,
        max_gone_share=wanted.max_gone_share,
        consent=source.consent,
        forgotten_speakers=wished.speakers,
    )
    return kind(
        staging.language,
        speakers.pseudonyms(source.name),
        known.read(staging.store, staging.language, source.name, source.roots),
        staging.audio_names(),
        order,
    )


def manners(source: Source) -> dict[str, Any]:
    """Return how a source is asked: what ``scrapy_settings`` takes."""
    wanted = settings()
    return {
        "user_agent": wanted.user_agent,
        "consent": source.consent,
        "delay_s": wanted.download_delay_s,
        "max_wait_s": wanted.max_wait_s,
        "max_page_bytes": _MAX_PAGE_BYTES,
        "max_audio_bytes": round(wanted.max_clip_mib * 2**20),
        "timeout_s": wanted.max_download_s,
        "loopback_concurrency": wanted.loopback_concurrency,
    }


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "langaudio.crawl.child"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, pipesize=_PIPE_BYTES) as child:
        try:
            yield child
        except BaseException:
            child.kill()
            raise


def _crawl_by(child: subprocess.Popen[bytes], job: Job, staging: Staging) -> None:
    """Let the child crawl, and write what it stages.

    Signing and sending a small object takes Python as long as fetching one from a web site: that is why the
    child does not do it.
    """
    assert child.stdin
    assert child.stdout
    with contextlib.suppress(BrokenPipeError):  # a child that has ended says why
        pickle.dump(job, child.stdin)
        child.stdin.close()
    failure = None
    with staging.store.writing() as writing:
        while header := child.stdout.readline():
            name, size = header.decode().split()
            data = child.stdout.read(int(size))
            if len(data) < int(size):
                break
            if name == FAILURE:
                failure = _error(**json.loads(data))
            else:
                writing.put(staging.key(name), data)
    status = child.wait()
    if failure:
        raise failure
    if status:
        raise RuntimeError(f"the crawl's process ended with {status}: see its log above")


def _error(kind: str, message: str, reason: str = "") -> LangaudioError:
    if kind == "Refused":
        return Refused(message, reason)
    return {"LangaudioError": LangaudioError, "Unavailable": Unavailable}[kind](message)
