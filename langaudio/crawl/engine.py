"""A crawl by Scrapy, from the order to a complete staging folder: what the child process does."""

from __future__ import annotations

import logging
import resource
from datetime import datetime
from typing import Any

from scrapy.crawler import AsyncCrawlerProcess, Crawler
from scrapy.exceptions import DropItem

from langaudio.crawl.harvest import Harvest, Order, begin
from langaudio.crawl.middlewares import scrapy_settings
from langaudio.crawl.sources import Source, load, source_named
from langaudio.crawl.staging import StagedClip, Staging
from langaudio.crawl.writer import Writer
from langaudio.errors import LangaudioError
from langaudio.settings import settings
from langaudio.store import default_store

_MAX_PAGE_BYTES = 5 * 2**20


class StagingPipeline:
    """Stages the file of each clip as it comes, and hands the clip to the harvest."""

    def __init__(self, spider: Any) -> None:
        self._spider = spider
        self._harvest: Harvest = spider.harvest
        self._writer: Writer = spider.writer

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> StagingPipeline:
        return cls(crawler.spider)

    async def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        clip: StagedClip = item["clip"]
        data: bytes | None = item.pop("data", None)
        if clip.audio and data is not None:
            try:
                await self._writer.put(self._harvest.staging.audio_key(clip.audio), data)
            except LangaudioError as error:
                self._spider.end(error)
                raise DropItem(str(error)) from error
        self._harvest.keep(clip, len(data or b""))
        return item

    async def close_spider(self) -> None:
        await self._writer.finish()


def crawl(writer: Writer, language: str, source: str, run: str, order: dict[str, Any]) -> None:
    """Crawl a language; once only in a process.

    Args:
        writer: writes the files that are staged.
        language: its tag.
        source: name of the source.
        run: the run's id.
        order: what ``Order`` takes, with the time as ISO 8601.

    Raises:
        LangaudioError: what the stage tells of.
    """
    store = default_store()
    where = source_named(source)
    at = datetime.fromisoformat(order.pop("at"))
    staging = Staging(store, source, run, language)
    harvest = begin(store, staging, where, Order(at=at, consent=where.consent, **order))
    process = AsyncCrawlerProcess(_scrapy_settings(where))
    _quieten()
    crawler = process.create_crawler(load(where.spider))
    process.crawl(crawler, harvest=harvest, roots=where.roots, section=where.section(language), writer=writer)
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
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
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
        loopback_concurrency=wanted.loopback_concurrency,
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
