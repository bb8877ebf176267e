"""The child process of a crawl: reads a job from standard input, crawls, and ends.

Exit status 1, with ``{"error": …, "message": …}`` on standard output, is a failure that was understood.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any
from urllib.parse import urlsplit

from scrapy.crawler import AsyncCrawlerProcess, Crawler
from scrapy.utils.misc import load_object

from langaudio import catalog, languages
from langaudio.crawl.sources import source_named
from langaudio.crawl.staging import StagedClip, Staging
from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings
from langaudio.store import Store, default_store, keys

_MAX_AUDIO_BYTES = 100 * 2**20


class StagingPipeline:
    """Stages the audio of each item as it comes, and keeps the item for ``items.jsonl``."""

    def __init__(self, staging: Staging, clips: list[StagedClip]) -> None:
        self._staging = staging
        self._clips = clips

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> StagingPipeline:
        spider: Any = crawler.spider
        return cls(spider.staging, spider.clips)

    async def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        clip: StagedClip = item["clip"]
        if "data" in item:
            assert clip.audio is not None
            await asyncio.to_thread(self._staging.put_audio, clip.audio, item.pop("data"))
        self._clips.append(clip)
        return item


def main() -> int:
    job = json.load(sys.stdin)
    try:
        _crawl(default_store(), **job)
    except LangaudioError as error:
        kind = "Unavailable" if isinstance(error, Unavailable) else "LangaudioError"
        json.dump({"error": kind, "message": str(error)}, sys.stdout)
        return 1
    return 0


def _crawl(store: Store, language: str, source: str, run: str, limit: int) -> None:
    base_url = source_named(source).base_url()
    # Scrapy tells its versions, its whole configuration and all its counters; of use to us is what it warns
    # of, and its line of progress a minute.
    logging.getLogger("scrapy.utils.log").setLevel(logging.WARNING)
    process = AsyncCrawlerProcess(_scrapy_settings(base_url))
    logging.getLogger("scrapy").setLevel(logging.WARNING)
    logging.getLogger("scrapy.extensions.logstats").setLevel(logging.INFO)
    # A site that is away fails the list as well, and then in one sentence instead of two tracebacks.
    logging.getLogger("scrapy.downloadermiddlewares.robotstxt").setLevel(logging.CRITICAL)
    crawler = process.create_crawler(load_object(source_named(source).spider))
    process.crawl(
        crawler,
        staging=Staging(store, source, run, language),
        base_url=base_url,
        section=languages.section(language, source),
        limit=limit,
        known_pages=_known_pages(store, language),
    )
    process.start()
    _close(crawler)


def _close(crawler: Crawler) -> None:
    spider: Any = crawler.spider
    if spider.failure:
        raise spider.failure
    found: dict[str, Any] = crawler.stats.get_stats() if crawler.stats else {}
    if found.get("log_count/ERROR") or found.get("finish_reason") != "finished":
        raise RuntimeError(f"the crawl ended as {found.get('finish_reason')!r}, with errors: see the log")
    clips = sorted(spider.clips, key=lambda clip: clip.page_url)
    stats = {
        **spider.counts,
        "staged": sum(clip.audio is not None for clip in clips),
        "bad": sum(clip.problem is not None for clip in clips),
        "requests": found.get("downloader/request_count", 0),
        "response_bytes": found.get("downloader/response_bytes", 0),
        "seconds": round(found.get("elapsed_time_seconds", 0.0), 3),
    }
    spider.staging.close(clips, stats)
    logging.getLogger(__name__).info("%s: %s", spider.staging.language, json.dumps(stats))


def _known_pages(store: Store, language: str) -> set[str]:
    """Return the pages of clips that were published or refused before."""
    published = catalog.read(store, language, ["page_url"])["page_url"].to_pylist()
    reasons = [keys.quarantine(language, clip, "json") for clip in catalog.quarantined(store, language)]
    refused = [json.loads(data).get("page_url") for _, data in store.get_many(reasons)]
    return {*published, *refused} - {None}


def _scrapy_settings(base_url: str) -> dict[str, Any]:
    local = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
    return {
        "USER_AGENT": settings().user_agent,
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "DOWNLOAD_DELAY": 0 if local else settings().download_delay_s,
        "AUTOTHROTTLE_ENABLED": not local,
        "DOWNLOAD_MAXSIZE": _MAX_AUDIO_BYTES,
        "DOWNLOAD_TIMEOUT": 60,
        "RETRY_TIMES": 2,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        "ITEM_PIPELINES": {StagingPipeline: 100},
    }


if __name__ == "__main__":
    sys.exit(main())
