"""What all spiders share: asking for pages and files, and what becomes of those that do not come."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC
from email.utils import format_datetime
from typing import Any, TypeVar

import scrapy
from scrapy.exceptions import CloseSpider, DownloadCancelledError, IgnoreRequest
from scrapy.http import Response, TextResponse
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure
from w3lib.encoding import html_body_declared_encoding, http_content_type_encoding

from langaudio.crawl.clips import Entry, StagedClip
from langaudio.crawl.harvest import Harvest
from langaudio.crawl.job import Put
from langaudio.crawl.pages import PageChanged
from langaudio.crawl.policy import OffSite, Postponed, Refused
from langaudio.errors import LangaudioError, Unavailable

_Page = TypeVar("_Page")

NOT_MODIFIED = 304

_CHARACTER_SET = re.compile(
    r"ascii|utf-(8|16(-[lb]e)?)|iso8859-\d+|cp(1?25\d|866|874|932|949)|koi8-[ru]|gb18030|gbk|big5(hkscs)?"
    r"|euc_(jp|kr)|iso2022_jp|mac-roman|tis-620"
)
"""Those of the Web, by Python's names. By others Python finds codecs that fail, or take hours (punycode)."""

_FAILURES_IN_A_ROW = 5
"""So many files that do not come one after the other are a site that is away, not so many bad entries."""


class ClipSpider(scrapy.Spider):
    """A spider says which pages to ask for and which entries are on them; the harvest takes those.

    A subclass writes ``start`` and its callbacks. They yield ``self.page(…)`` for a page and
    ``self.clip(entry)`` for an entry.

    Args:
        harvest: takes the entries.
        roots: the source's roots; the first is where to begin.
        section: where the source keeps the language.
        put: stages a file; None for a spider that is only tried.

    Attributes:
        failure: why the crawl ended early, if it did.
    """

    def __init__(
        self,
        harvest: Harvest,
        roots: list[str],
        section: str,
        put: Put | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.harvest, self.roots, self.section, self.put = harvest, roots, section, put
        self.failure: LangaudioError | None = None
        self._failures_in_a_row = 0
        self._closing: asyncio.Future[None] | None = None

    async def start(self) -> AsyncIterator[Any]:
        raise NotImplementedError("each spider's own")
        yield  # makes it a generator, as Scrapy wants it

    def page(
        self, url: str, callback: Callable[..., Any], *, unless_known: bool = False, **options: Any
    ) -> scrapy.Request:
        """Return the request for a page.

        Args:
            url: its address.
            callback: takes the response.
            unless_known: do without it, if the server says that it has not changed since the last crawl
                that found something. The callback then sees status 304.
            options: more of Scrapy's.
        """
        since = self.harvest.known.last_sighting
        if unless_known and since and not self.harvest.full:
            options["headers"] = {"If-Modified-Since": format_datetime(since.astimezone(UTC), usegmt=True)}
            options["meta"] = options.get("meta", {}) | {"handle_httpstatus_list": [NOT_MODIFIED]}
        return scrapy.Request(url, callback, **{"errback": self.page_failed} | options)

    def clip(self, entry: Entry) -> Iterator[Any]:
        """Take an entry: yield what has to be asked for, or kept."""
        clip = self.harvest.meet(entry)
        if clip is None:
            return
        if clip.source_url is None:
            yield {"clip": replace(clip, problem="no_audio", problem_detail="The entry links no file.")}
        elif self.harvest.is_staged(clip):
            yield {"clip": clip}
        else:
            yield self._file(clip, clip.source_url)

    def _file(self, clip: StagedClip, url: str) -> Any:
        try:
            return scrapy.Request(
                url,
                self.parse_audio,
                errback=self.audio_failed,
                cb_kwargs={"clip": clip},
                meta={"audio": True},
                dont_filter=True,  # two entries may link one file
            )
        except ValueError as error:
            return {"clip": _without_file(clip, "download_failed", f"{url[:200]!r} is no address: {error}.")}

    def read(self, parser: Callable[[str, str], _Page], response: Response) -> _Page:
        """Parse a page; one that cannot be read is kept for people, and ends the crawl."""
        self.harvest.counts["pages"] += 1
        try:
            if not isinstance(response, TextResponse):
                raise PageChanged(f"{response.url} is no page of text.")
            return parser(_text(response), response.url)
        except PageChanged as error:
            raise self.unreadable(response, error) from None

    def unreadable(self, response: Response, error: PageChanged) -> CloseSpider:
        """Keep a page that cannot be read; return what to raise."""
        name = f"pages/{hashlib.sha256(response.url.encode()).hexdigest()[:20]}.html"
        kept = f" The page is kept as {self.put(name, response.body)}." if self.put else ""
        self.failure = self.failure or PageChanged(f"{error}{kept}")
        return CloseSpider("failed")

    def parse_audio(self, response: Response, clip: StagedClip) -> Iterator[Any]:
        self._failures_in_a_row = 0
        kind = (response.headers.get("Content-Type") or b"").lower()
        if kind.startswith(b"text/html"):
            detail = "The site answers with a page instead of a file."
            yield {"clip": _without_file(clip, "download_failed", detail)}
        else:
            yield {"clip": clip, "data": response.body}

    def page_failed(self, failure: Failure) -> None:
        """End the crawl: without its lists it would look like a language that lost its clips."""
        self.end(self._explanation(failure))

    def audio_failed(self, failure: Failure) -> Iterator[Any]:
        """Keep the clip with what went wrong, for quarantine; if the site itself is away, end the crawl."""
        error = self._explanation(failure)
        # Scrapy gives its failures the request; their class is Twisted's.
        clip = failure.request.cb_kwargs["clip"]  # type: ignore[attr-defined]
        if isinstance(failure.value, Refused) and failure.value.reason == "robots":
            self.harvest.refuse(failure.value)
            return
        if isinstance(failure.value, Refused | Postponed):
            self.end(failure.value)
            return
        # One file that is forbidden is one; a site that forbids them all does not want us.
        if isinstance(error, Unavailable | Refused):
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= _FAILURES_IN_A_ROW:
                self.end(error)
                return
        self.logger.warning("%s", error)
        problem = "off_site" if isinstance(error, OffSite) else "download_failed"
        yield {"clip": _without_file(clip, problem, str(error))}

    def end(self, error: LangaudioError) -> None:
        """End the crawl from an errback, where Scrapy takes an exception for a defect and traces it."""
        self.failure = self.failure or error
        if self._closing is None and self.crawler.engine is not None:
            self._closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason="failed"))

    def _explanation(self, failure: Failure) -> LangaudioError:
        # Scrapy gives its failures the request; their class is Twisted's.
        url = failure.request.url  # type: ignore[attr-defined]
        error = failure.value
        if isinstance(error, LangaudioError):
            return error
        if isinstance(error, HttpError):
            status = error.response.status
            if status in (401, 403):
                return Refused(
                    f"{url} answers {status}: the site does not want us; ask its owner.", "forbidden"
                )
            if status == 429 or status >= 500:
                return Unavailable(f"{url} answers {status}: the site cannot serve us now; try later.")
            return LangaudioError(
                f"{url} answers {status}: the site has dropped this language or has moved; if it has moved, "
                "set LANGAUDIO_SOURCE_ROOTS."
            )
        if isinstance(error, DownloadCancelledError | IgnoreRequest):
            # Scrapy gives its failures the request; their class is Twisted's.
            limit = failure.request.meta.get("download_maxsize", self.settings.getint("DOWNLOAD_MAXSIZE"))  # type: ignore[attr-defined]
            return LangaudioError(
                f"{url} is given up: it is larger than {limit} bytes, or redirects too often."
            )
        return Unavailable(f"{url} does not answer ({error or type(error).__name__}): is the site up?")


def _text(response: TextResponse) -> str:
    """Return a page as text; a character set that is none of the Web's is taken for UTF-8."""
    content_type = (response.headers.get("Content-Type") or b"").decode("latin-1")
    declared = http_content_type_encoding(content_type) or html_body_declared_encoding(response.body)
    if declared is None or _CHARACTER_SET.fullmatch(declared):
        return response.text
    return response.body.decode(errors="replace")


def _without_file(clip: StagedClip, problem: str, detail: str) -> StagedClip:
    return replace(clip, audio=None, problem=problem, problem_detail=detail)
