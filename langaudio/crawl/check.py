"""What ``scrapy check`` needs to try the contracts of the spiders on a site that runs.

    SCRAPY_SETTINGS_MODULE=langaudio.crawl.check scrapy check

The site is the demo's; LANGAUDIO_SOURCE_ROOTS puts another in its place. Nothing is published.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from scrapy.contracts import Contract

from langaudio.crawl.middlewares import scrapy_settings
from langaudio.crawl.sources import source_named
from langaudio.crawl.spiders.audio_lingua import AudioLinguaSpider
from langaudio.crawl.stage import begin, manners
from langaudio.crawl.staging import Staging
from langaudio.store import default_store

_SOURCE, _LANGUAGE = "demo", "fr"


class DemoSpider(AudioLinguaSpider):
    """The spider of audio-lingua, ordered to look at the demo site's French."""

    name = "demo"

    def __init__(self, **options: Any) -> None:
        source = source_named(_SOURCE)
        staging = Staging(default_store(), _SOURCE, "check", _LANGUAGE)
        harvest = begin(staging, source, at=datetime.now(UTC), full=True)
        super().__init__(harvest, source.roots, source.section(_LANGUAGE), **options)


class At(Contract):
    """``@at ADDRESS``: the callback is tried on the page at this address below the source's root."""

    name = "at"

    def adjust_request_args(self, args: dict[str, Any]) -> dict[str, Any]:
        return args | {"url": urljoin(source_named(_SOURCE).roots[0], self.args[0])}


SPIDER_MODULES = [__name__]
SPIDER_CONTRACTS = {At: 1}
globals().update(scrapy_settings(source_named(_SOURCE).roots, **manners(source_named(_SOURCE))))
