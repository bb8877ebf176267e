"""A crawl by Scrapy, from the order to a complete staging folder: what the child process does."""

from __future__ import annotations

import logging
from typing import Any

from scrapy.crawler import AsyncCrawlerProcess, Crawler
from scrapy.utils.misc import load_object

from langaudio.crawl.clips import StagedClip
from langaudio.crawl.harvest import Harvest
from langaudio.crawl.job import Job, Put
from langaudio.crawl.middlewares import scrapy_settings
from langaudio.errors import LangaudioError
from langaudio.memory import peak_mib


class StagingPipeline:
    """Stages the file of each clip as it comes, and hands the clip to the harvest."""

    def __init__(self, spider: Any) -> None:
        self._put: Put = spider.put
        self._harvest: Harvest = spider.harvest

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> StagingPipeline:
        return cls(crawler.spider)

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        clip: StagedClip = item["clip"]
        data: bytes | None = item.pop("data", None)
        if clip.audio and data is not None:
            self._put(f"audio/{clip.audio}", data)
        self._harvest.keep(clip, len(data or b""))
        return item


def crawl(job: Job, put: Put) -> None:
    """Crawl a language; once only in a process.

    Args:
        job: what is to be done.
        put: takes the name and the bytes of each file to stage.

    Raises:
        LangaudioError: what the stage tells of.
    """
    process = AsyncCrawlerProcess(
        scrapy_settings(job.roots, **job.manners)
        | {
            "LOG_LEVEL": "INFO",
            "LOG_VERSIONS": [],
            "LOG_FORMAT": "%(asctime)s %(levelname)s %(name)s: %(message)s",
            "ITEM_PIPELINES": {StagingPipeline: 100},
        }
    )
    _quieten()
    crawler = process.create_crawler(_spider(job.spider))
    process.crawl(crawler, harvest=job.harvest, roots=job.roots, section=job.section, put=put)
    process.start()
    for name, data in _close(crawler, job.harvest).items():
        put(name, data)


def _spider(path: str) -> Any:
    try:
        return load_object(path)
    except (ImportError, NameError, ValueError) as error:
        raise LangaudioError(f"{path!r} of a source cannot be imported: {error}.") from None


def _close(crawler: Crawler, harvest: Harvest) -> dict[str, bytes]:
    spider: Any = crawler.spider
    if spider.failure:
        raise spider.failure
    found: dict[str, Any] = crawler.stats.get_stats() if crawler.stats else {}
    if found.get("log_count/ERROR") or found.get("finish_reason") != "finished":
        raise RuntimeError(f"the crawl ended as {found.get('finish_reason')!r}, with errors: see the log")
    return harvest.close(
        {
            "requests": found.get("downloader/request_count", 0),
            "response_bytes": found.get("downloader/response_bytes", 0),
            "waited_s": round(found.get("langaudio/waited_s", 0.0), 3),
            "peak_rss_mib": peak_mib(),
        }
    )


def _quieten() -> None:
    # Of what Scrapy tells, these are of use: warnings, retries, and a line of progress a minute.
    for name, level in {
        "scrapy": logging.WARNING,
        "scrapy.extensions.logstats": logging.INFO,
        "scrapy.downloadermiddlewares.redirect": logging.ERROR,
    }.items():
        logging.getLogger(name).setLevel(level)
