"""The peer of ``benchmarks/crawl.py``: Scrapy as it comes, which downloads the same files, no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import scrapy


class BareSpider(scrapy.Spider):
    """Fetches the files of one list of the replica.

    Args:
        root: address of the replica.
        rubrique: number of the list.
        clips: how many it has.
    """

    name = "bare"

    def __init__(self, root: str, rubrique: str, clips: str, **options: Any) -> None:
        super().__init__(**options)
        self._root, self._rubrique, self._clips = root, int(rubrique), int(clips)

    async def start(self) -> AsyncIterator[scrapy.Request]:
        for number in range(1, self._clips + 1):
            yield scrapy.Request(f"{self._root}IMG/mp3/{1_000_000 * self._rubrique + number}.mp3")

    def parse(self, response: scrapy.http.Response) -> None:
        self.crawler.stats.inc_value("files")
