"""The child process of a crawl: reads a job from standard input, crawls, and ends.

Exit status 1, with ``{"kind": …, "message": …}`` on standard output, is a failure that was understood.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import datetime
from typing import Any

from scrapy.crawler import AsyncCrawlerProcess, Crawler

from langaudio.crawl.harvest import Harvest, Order, begin
from langaudio.crawl.middlewares import scrapy_settings
from langaudio.crawl.policy import Refused
from langaudio.crawl.sources import Source, load, source_named
from langaudio.crawl.staging import StagedClip, Staging
from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings
from langaudio.store import Store, default_store

_MAX_PAGE_BYTES = 5 * 2**20


class StagingPipeline:
    """Stages the file of each clip as it comes, and hands the clip to the harvest."""

    def __init__(self, harvest: Harvest) -> None:
        self._harvest = harvest

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> StagingPipeline:
        spider: Any = crawler.spider
        return cls(spider.harvest)

    async def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        clip: StagedClip = item["clip"]
        data: bytes | None = item.pop("data", None)
        if clip.audio and data is not None:
            await asyncio.to_thread(self._harvest.staging.put_audio, clip.audio, data)
        self._harvest.keep(clip, len(data or b""))
        return item


def main() -> int:
    job = json.load(sys.stdin)
    try:
        _crawl(default_store(), **job)
    except LangaudioError as error:
        kind = next(kind for kind in (Refused, Unavailable, LangaudioError) if isinstance(error, kind))
        failure = {"kind": kind.__name__, "message": str(error)}
        json.dump(failure | ({"reason": error.reason} if isinstance(error, Refused) else {}), sys.stdout)
        return 1
    return 0


def _crawl(store: Store, language: str, source: str, run: str, order: dict[str, Any]) -> None:
    where = source_named(source)
    at = datetime.fromisoformat(order.pop("at"))
    staging = Staging(store, source, run, language)
    harvest = begin(store, staging, where, Order(at=at, consent=where.consent, **order))
    process = AsyncCrawlerProcess(_scrapy_settings(where))
    _quieten()
    crawler = process.create_crawler(load(where.spider))
    process.crawl(crawler, harvest=harvest, roots=where.roots, section=where.section(language))
    process.start()
    _close(crawler, harvest)


def _close(crawler: Crawler, harvest: Harvest) -> None:
    spider: Any = crawler.spider
    if spider.failure:
        raise spider.failure
    found: dict[str, Any] = crawler.stats.get_stats() if crawler.stats else {}
    if found.get("log_count/ERROR") or found.get("finish_reason") != "finished":
        raise RuntimeError(f"the crawl ended as {found.get('finish_reason')!r}, with errors: see the log")
    harvest.close(
        {
            "requests": found.get("downloader/request_count", 0),
            "response_bytes": found.get("downloader/response_bytes", 0),
            "waited_s": round(found.get("langaudio/waited_s", 0.0), 3),
        }
    )


def _scrapy_settings(source: Source) -> dict[str, Any]:
    wanted = settings()
    return scrapy_settings(
        source.roots,
        user_agent=wanted.user_agent,
        consent=source.consent,
        delay_s=wanted.download_delay_s,
        max_wait_s=wanted.max_wait_s,
        max_page_bytes=_MAX_PAGE_BYTES,
        max_audio_bytes=round(wanted.max_clip_mib * 2**20),
        timeout_s=wanted.max_download_s,
    ) | {
        "LOG_LEVEL": "INFO",
        "LOG_VERSIONS": [],
        "LOG_FORMAT": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        "ITEM_PIPELINES": {StagingPipeline: 100},
    }


def _quieten() -> None:
    # Of what Scrapy tells, these are of use: warnings, retries, and a line of progress a minute.
    for name, level in {
        "scrapy": logging.WARNING,
        "scrapy.extensions.logstats": logging.INFO,
        "scrapy.downloadermiddlewares.redirect": logging.ERROR,
    }.items():
        logging.getLogger(name).setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
