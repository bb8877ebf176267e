"""The spider of audio-lingua and its replica, the demo site."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from langaudio.crawl.clips import Entry
from langaudio.crawl.pages import PageChanged
from langaudio.crawl.pages.audio_lingua import ListPage, parse_clip, parse_feed, parse_list
from langaudio.crawl.spiders.base import NOT_MODIFIED, ClipSpider

_MOST_PAGES = 5_000
_NOT_THERE = (404, 410)


class AudioLinguaSpider(ClipSpider):
    """Walks a language's list from the newest clip to the oldest.

    A full walk goes to the end. Another one asks the feed of news first, and ends at known ground: at a
    page that shows nothing but what the corpus knows.
    """

    name = "audio_lingua"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._news: set[str] = set()
        self._offset = 0

    async def start(self) -> AsyncIterator[Any]:
        if self.harvest.full:
            yield self._list()
        else:
            yield self.page(
                urljoin(self.roots[0], f"spip.php?page=backend&id_rubrique={self.section}"),
                self.parse_news,
                errback=self.no_news,
                unless_known=True,
            )

    def parse_news(self, response: Response) -> Iterator[Any]:
        """Read the feed: its unknown clips are to be met on the list.

        @at spip.php?page=backend&id_rubrique=1
        @returns requests 1 1
        """
        self.harvest.counts["pages"] += 1
        if response.status != NOT_MODIFIED:
            try:
                pages = parse_feed(response.body, response.url)
            except PageChanged as error:
                self.logger.warning("The list will have to do: %s", error)
            else:
                self._news = {page for page in pages if not self.harvest.known.find(page)}
        yield self._list(unless_known=not self._news)

    def no_news(self, failure: Failure) -> Iterator[Any]:
        """Do without the feed where there is none; what ends a crawl elsewhere ends it here."""
        error = failure.value
        if isinstance(error, HttpError) and error.response.status in _NOT_THERE:
            self.logger.warning(
                "%s answers %d: the list will have to do", error.response.url, error.response.status
            )
            yield self._list()
        else:
            self.page_failed(failure)

    def parse_list_page(self, response: Response) -> Iterator[Any]:
        """Read a page of the list, ask for its files and for the next page.

        @at spip.php?rubrique1&lang=fr&debut_articles=0
        @returns requests 5 6
        """
        if response.status == NOT_MODIFIED:
            self.harvest.counts["pages"] += 1
            return
        page = self.read(parse_list, response)
        if page.total is not None:
            self.harvest.announced = page.total
        fresh = [entry for entry in page.entries if not self.harvest.is_met(entry)]
        news = False
        for entry in fresh:
            if self.harvest.satisfied:
                break
            self._news.discard(entry.page_url)
            known = self.harvest.known.find(entry.page_url)
            news |= known is None
            # An entry that links no page of its own is known by a fragment of the list's.
            has_page = not urlsplit(entry.page_url).fragment
            if entry.audio_url is None and has_page and (known is None or self.harvest.full):
                yield self._clip_page(entry)
            else:
                yield from self.clip(entry)
        # Past its end the list shows its last page again: nothing fresh means the end.
        requests = []
        if fresh and not self.harvest.satisfied and (news or self._news or not self.harvest.may_stop()):
            requests = list(self._next(page))
        # What the feed has and the list has not is asked for by itself.
        yield from requests or [self._clip_page(Entry(url, None)) for url in sorted(self._news)]

    def parse_clip_page(self, response: Response) -> Iterator[Any]:
        """Read the page of a clip whose entry in the list links no file.

        @at spip.php?article1
        @returns requests 1 1
        """
        yield from self.clip(self.read(parse_clip, response))

    def no_clip_page(self, failure: Failure) -> Iterator[Any]:
        """Make do with what the list says of a clip whose page has vanished."""
        error = failure.value
        if isinstance(error, HttpError) and error.response.status in _NOT_THERE:
            self.logger.warning("%s answers %d", error.response.url, error.response.status)
            # Scrapy gives its failures the request; their class is Twisted's.
            yield from self.clip(failure.request.meta["entry"])  # type: ignore[attr-defined]
        else:
            self.page_failed(failure)

    def _next(self, page: ListPage) -> Iterator[Any]:
        if self.harvest.counts["pages"] >= _MOST_PAGES:
            self.end(PageChanged(f"The list has no end: {_MOST_PAGES} pages were read."))
            return
        self._offset += len(page.entries)
        if page.next_url:
            yield self.page(page.next_url, self.parse_list_page)
        elif page.total is not None and self._offset < page.total:
            yield self._list()

    def _clip_page(self, entry: Entry) -> Any:
        return self.page(
            entry.page_url, self.parse_clip_page, errback=self.no_clip_page, meta={"entry": entry}
        )

    def _list(self, *, unless_known: bool = False) -> Any:
        # The section has to be the first parameter. Of the new design nothing but its French is known: how it
        # writes dates and labels its links.
        address = f"spip.php?rubrique{self.section}&lang=fr&debut_articles={self._offset}"
        return self.page(urljoin(self.roots[0], address), self.parse_list_page, unless_known=unless_known)
