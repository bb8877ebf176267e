"""The spider of audio-lingua and its replica, the demo site."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import scrapy
from scrapy.exceptions import CloseSpider, IgnoreRequest
from scrapy.http import Response, TextResponse
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from langaudio import speakers
from langaudio.crawl.pages.audio_lingua import Entry, PageChanged, parse_clip, parse_list
from langaudio.crawl.staging import StagedClip, Staging, audio_name
from langaudio.errors import LangaudioError, Unavailable

_Page = TypeVar("_Page")


class AudioLinguaSpider(scrapy.Spider):
    """Walks a language's list from the newest clip to the oldest, and fetches what is not known.

    Args:
        staging: where the clips go; it knows language and source.
        base_url: the site's root.
        section: number of the language's list ("rubrique").
        limit: clips to look at, 0 for all.
        known_pages: addresses of clip pages that the corpus has.

    Attributes:
        clips: what was found, in the order in which it came.
        counts: what is told at the end.
        failure: why the crawl ended early, if it did.
    """

    name = "audio_lingua"

    def __init__(
        self,
        staging: Staging,
        base_url: str,
        section: int,
        limit: int,
        known_pages: set[str],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.staging, self.base_url, self.section = staging, base_url, section
        self.limit, self.known_pages = limit, known_pages
        self.allowed_domains = [urlsplit(base_url).hostname or ""]
        self.clips: list[StagedClip] = []
        self.failure: LangaudioError | None = None
        self.counts = {"listed": 0, "seen": 0, "known": 0, "pages": 0, "audio_bytes": 0}
        self._seen_articles: set[int] = set()
        self._closing: asyncio.Future[None] | None = None
        # An earlier attempt of this run may have been cut off: what it fetched is not fetched again.
        self._staged_before = staging.audio_names()

    async def start(self) -> AsyncIterator[scrapy.Request]:
        yield self._list_request(0)

    def parse_list_page(self, response: Response, offset: int) -> Iterator[Any]:
        """Read a page of the list, ask for its clips and for the next page."""
        page = self._parsed(parse_list, response)
        self.counts["listed"] = page.total
        wanted = min(page.total, self.limit or page.total)
        fresh = [entry for entry in page.entries if entry.article not in self._seen_articles]
        for entry in fresh[: wanted - self.counts["seen"]]:
            self._seen_articles.add(entry.article)
            self.counts["seen"] += 1
            if entry.page_url in self.known_pages:
                self.counts["known"] += 1
            else:
                yield from self._clip(entry, listed=True)
        # Past its end the list shows its last page again: no fresh entry means the end.
        if fresh and self.counts["seen"] < wanted:
            yield self._list_request(offset + len(page.entries))

    def parse_clip_page(self, response: Response) -> Iterator[Any]:
        """Read the page of a clip whose entry in the list links no audio."""
        yield from self._clip(self._parsed(parse_clip, response), listed=False)

    def parse_audio(self, response: Response, clip: StagedClip) -> Iterator[Any]:
        self.counts["audio_bytes"] += len(response.body)
        yield {"clip": clip, "data": response.body}

    def failed_page(self, failure: Failure) -> None:
        """End the crawl: without its lists it would look like a language that lost its clips."""
        self._stop(self._explanation(failure))

    def failed_audio(self, failure: Failure) -> Iterator[Any]:
        """Keep the clip, with what went wrong, for quarantine."""
        error = self._explanation(failure)
        # A site that fell silent is a failed crawl, to be tried again; a missing file is a bad entry.
        if isinstance(error, Unavailable):
            self._stop(error)
            return
        clip = failure.request.cb_kwargs["clip"]  # type: ignore[attr-defined]
        yield {"clip": replace(clip, audio=None, problem="download_failed", problem_detail=str(error))}

    def _list_request(self, offset: int) -> scrapy.Request:
        # The section has to be the first parameter.
        address = f"spip.php?rubrique{self.section}&lang=en&debut_articles={offset}"
        return scrapy.Request(
            urljoin(self.base_url, address),
            callback=self.parse_list_page,
            errback=self.failed_page,
            cb_kwargs={"offset": offset},
            priority=-offset,
        )

    def _clip(self, entry: Entry, *, listed: bool) -> Iterator[Any]:
        clip = self._staged_clip(entry)
        if entry.audio_url is None and listed:
            yield scrapy.Request(entry.page_url, self.parse_clip_page, errback=self.failed_page)
        elif entry.audio_url is None:
            detail = "Neither the list nor the clip's page links a file."
            yield {"clip": replace(clip, problem="no_audio", problem_detail=detail)}
        elif clip.audio in self._staged_before:
            yield {"clip": clip}
        else:
            yield scrapy.Request(
                entry.audio_url,
                self.parse_audio,
                errback=self.failed_audio,
                cb_kwargs={"clip": clip},
                dont_filter=True,  # two entries may link one file
            )

    def _staged_clip(self, entry: Entry) -> StagedClip:
        return StagedClip(
            language=self.staging.language,
            source=self.staging.source,
            page_url=entry.page_url,
            title=entry.title,
            source_url=entry.audio_url,
            speaker_id=entry.speaker and speakers.speaker_id(self.staging.source, entry.speaker),
            speaker_sex=entry.speaker_sex,
            speaker_age=entry.speaker_age,
            cefr_level=entry.cefr_level,
            licence=entry.licence,
            permission=None,
            seen=datetime.now(UTC),
            audio=entry.audio_url and audio_name(entry.audio_url),
        )

    def _parsed(self, parser: Callable[[str, str], _Page], response: Response) -> _Page:
        self.counts["pages"] += 1
        try:
            if not isinstance(response, TextResponse):
                raise PageChanged(f"{response.url} is no page of text.")
            return parser(response.text, response.url)
        except PageChanged as error:
            self.failure = self.failure or error
            raise CloseSpider("failed") from None

    def _stop(self, error: LangaudioError) -> None:
        """End the crawl from an errback, where Scrapy takes an exception for a defect and traces it."""
        self.failure = self.failure or error
        if self._closing is None and self.crawler.engine is not None:
            self._closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason="failed"))

    def _explanation(self, failure: Failure) -> LangaudioError:
        url = failure.request.url  # type: ignore[attr-defined]
        error = failure.value
        if isinstance(error, HttpError):
            status = error.response.status
            if status == 429 or status >= 500:
                return Unavailable(f"{url} answers {status}: the site cannot serve us now; try later.")
            return LangaudioError(f"{url} answers {status}.")
        if isinstance(error, IgnoreRequest):
            return LangaudioError(f"{url} is not for us: {error}.")
        return Unavailable(f"{url} does not answer ({error or type(error).__name__}): is the site up?")
