"""How Scrapy asks: only the source's own hosts, only what their rules allow, at the pace they want.

Everything is configured by ``scrapy_settings``. What a request must not do ends in one of our own errors,
which its errback sees as ``failure.value``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit, urlunsplit
from urllib.request import getproxies

from scrapy import signals
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadTimeoutError,
    IgnoreRequest,
)
from scrapy.extensions.throttle import AutoThrottle
from scrapy.http import Request, Response
from scrapy.http.request import NO_CALLBACK
from scrapy.resolver import CachingThreadedResolver
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError

from langaudio.crawl.policy import OffSite, Postponed, Refused, Rules, rules_of
from langaudio.errors import LangaudioError, Unavailable

log = logging.getLogger(__name__)

_WAITED = "langaudio/waited_s"
_QUEUED = "langaudio_queued"
_MAX_ROBOTS_BYTES = 2**20
_DEFAULT_PORTS = {"http": 80, "https": 443}


def scrapy_settings(
    roots: Sequence[str],
    *,
    user_agent: str,
    consent: str | None,
    delay_s: float,
    max_wait_s: float,
    max_page_bytes: int,
    max_audio_bytes: int,
    timeout_s: float,
    loopback_concurrency: int = 1,
) -> dict[str, Any]:
    """Return the settings of a crawl.

    Args:
        roots: addresses below which everything lies that may be asked for.
        user_agent: what we call ourselves.
        consent: reference of the owner's consent to AI training.
        delay_s: seconds between two requests to a host; on loopback there is none.
        max_wait_s: seconds that a host may let us wait, by Crawl-delay for one request and by Retry-After
            for the whole crawl.
        max_page_bytes: size at which a page is given up.
        max_audio_bytes: size at which a file is given up: a request with ``audio`` in its meta.
        timeout_s: seconds after which any download is given up.
        loopback_concurrency: requests at a time, if all roots are on this machine; otherwise one.
    """
    local = all(_host(root) == "localhost" or _is_loopback(_host(root)) for root in roots)
    delay_s = 0.0 if local else max(1.0, delay_s)
    concurrency = loopback_concurrency if local else 1
    handler = f"{__name__}.{PatientHandler.__name__}"
    return {
        "LANGAUDIO_ROOTS": list(roots),
        "LANGAUDIO_CONSENT": consent,
        "LANGAUDIO_MAX_WAIT_S": max_wait_s,
        "LANGAUDIO_MAX_PAGE_BYTES": max_page_bytes,
        "USER_AGENT": user_agent,
        "ROBOTSTXT_OBEY": False,  # Permission does it, and tells why
        "CONCURRENT_REQUESTS": concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": concurrency,
        # Scrapy starts so many tasks for every answer; our pipeline waits for nothing.
        "CONCURRENT_ITEMS": 1,
        "WARN_ON_GENERATOR_RETURN_VALUE": False,  # reads the callback's source for every answer
        "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
        "DOWNLOAD_DELAY": delay_s,
        "DOWNLOAD_DELAY_JITTER": 0.0,  # by default Scrapy halves a delay now and then
        "AUTOTHROTTLE_ENABLED": not local,
        "AUTOTHROTTLE_START_DELAY": delay_s,
        "AUTOTHROTTLE_MAX_DELAY": max(60.0, delay_s, max_wait_s),  # shortens no Crawl-delay
        "DOWNLOAD_MAXSIZE": max_audio_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_TIMEOUT": timeout_s,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,  # who else could answer would give us permission
        "RETRY_TIMES": 2,
        "RETRY_GIVE_UP_LOG_LEVEL": "INFO",
        "REDIRECT_MAX_TIMES": 5,
        "METAREFRESH_ENABLED": False,
        "COOKIES_ENABLED": False,
        "SCHEDULER_MEMORY_QUEUE": "scrapy.squeues.FifoMemoryQueue",  # in the order of the list
        "TELNETCONSOLE_ENABLED": False,
        "TWISTED_DNS_RESOLVER": PublicAddressesOnly,
        "DOWNLOAD_HANDLERS": {
            **dict.fromkeys(("file", "ftp", "s3", "data")),
            **dict.fromkeys(("http", "https"), handler),
        },
        "DOWNLOADER_MIDDLEWARES": {
            OwnHostsOnly: 50,
            Permission: 100,
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            WaitAndRetry: 550,
            "scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware": None,
        },
        "SPIDER_MIDDLEWARES": {
            "scrapy.spidermiddlewares.referer.RefererMiddleware": None,
            "scrapy.spidermiddlewares.depth.DepthMiddleware": None,
        },
    }


class OwnHostsOnly:
    """Lets no request leave the source's own hosts; redirects are requests, too."""

    def __init__(self, roots: Sequence[str], max_page_bytes: int) -> None:
        self._origins = {_origin(root) for root in roots}
        # A site may move to https.
        self._origins |= {("https", host, 443) for scheme, host, port in self._origins if port == 80}
        self._max_page_bytes = max_page_bytes

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> OwnHostsOnly:
        wanted = crawler.settings
        return cls(wanted.getlist("LANGAUDIO_ROOTS"), wanted.getint("LANGAUDIO_MAX_PAGE_BYTES"))

    def process_request(self, request: Request) -> Request | None:
        scheme, host, port = _origin(request.url)
        if (scheme, host, port) not in self._origins:
            if (scheme, port) == ("http", 80) and ("https", host, 443) in self._origins:
                # Old pages link by http what has moved to https.
                return request.replace(url=_by_https(request.url))
            hosts = ", ".join(sorted({host for _, host, _ in self._origins}))
            raise OffSite(
                f"{request.url} lies outside the source's own hosts ({hosts}) and is not asked for."
            )
        if not request.meta.get("audio"):
            request.meta.setdefault("download_maxsize", self._max_page_bytes)
        return None

    def process_exception(self, request: Request, exception: Exception) -> None:
        host = _host(request.url)
        if isinstance(exception, CannotResolveHostError) and host in PublicAddressesOnly.refused:
            address = PublicAddressesOnly.refused[host]
            raise OffSite(
                f"{host} resolves to {address}, which is no public address, and is not asked: if the source "
                "really is there, give that address itself in LANGAUDIO_SOURCE_ROOTS."
            )


class PublicAddressesOnly(CachingThreadedResolver):
    """Resolves no name to an address of a private network; a source that is there gives the address itself.

    What is resolved here is what is connected to, so a name that changes its mind gains nothing.
    """

    refused: ClassVar[dict[str, str]] = {}
    """Host → the address that it resolved to."""

    _trusted: frozenset[str] = frozenset()

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> PublicAddressesOnly:
        resolver = super().from_crawler(crawler, reactor)
        roots = [_host(root) for root in crawler.settings.getlist("LANGAUDIO_ROOTS")]
        proxies = [_host(proxy) for proxy in getproxies().values()]
        resolver._trusted = frozenset([*filter(_is_configured_address, roots), *proxies])
        return resolver

    # Twisted's name.
    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> Deferred[str]:  # noqa: N802
        return super().getHostByName(name, timeout).addCallback(self._checked, name)

    def _checked(self, address: str, name: str) -> str:
        if name not in self._trusted and not _is_public(address):
            self.refused[name] = address
            raise DNSLookupError(f"{name} resolves to {address}, which is no public address")
        return address


class Permission:
    """Reads a host's robots.txt before anything else there, and lets pass what it allows."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._consent: str | None = crawler.settings["LANGAUDIO_CONSENT"]
        self._max_wait_s = crawler.settings.getfloat("LANGAUDIO_MAX_WAIT_S")
        self._rules: dict[str, asyncio.Future[Rules]] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Permission:
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        if request.meta.get("robots"):
            return
        url = urljoin(request.url, "/robots.txt")
        if url not in self._rules:
            self._rules[url] = asyncio.ensure_future(self._read(url))
        rules = await self._rules[url]
        refusal = rules.refusal(request.url, self._consent)
        if refusal:
            raise refusal

    async def _read(self, url: str) -> Rules:
        meta = {"robots": True, "download_maxsize": _MAX_ROBOTS_BYTES}
        request = Request(url, callback=NO_CALLBACK, meta=meta)
        assert self._crawler.engine is not None
        try:
            response = await self._crawler.engine.download_async(request)
        except (DownloadTimeoutError, DownloadCancelledError, IgnoreRequest) as error:
            raise Refused(
                f"{url} cannot be read ({error or 'time-out'}): rules that cannot be read count as a "
                "refusal; try again another day.",
                "unreadable",
            ) from None
        except OffSite as error:
            raise Refused(f"{url} cannot be read: {error}", "unreadable") from None
        except LangaudioError:
            raise
        except Exception as error:
            raise Unavailable(
                f"{url} does not answer ({error or type(error).__name__}): is the site up?"
            ) from None
        rules = rules_of(response.status, response.body, url)
        if rules.crawl_delay_s:
            self._slow_down(request, url, rules.crawl_delay_s)
        return rules

    def _slow_down(self, request: Request, url: str, delay_s: float) -> None:
        if delay_s > self._max_wait_s:
            raise Refused(
                f"{url} asks for {delay_s:g} s between two requests, and LANGAUDIO_MAX_WAIT_S is "
                f"{self._max_wait_s:g}: raise it, or leave this source out.",
                "crawl_delay",
            )
        assert self._crawler.engine is not None
        downloader = self._crawler.engine.downloader
        key, slot = downloader._get_slot(request)
        slot.delay = max(slot.delay, delay_s)
        # A slot that was idle for a minute is made anew.
        downloader.per_slot_settings[key] = {"delay": slot.delay}
        throttle = self._crawler.get_extension(AutoThrottle)
        if throttle:
            throttle.mindelay = max(throttle.mindelay, delay_s)


class WaitAndRetry(RetryMiddleware):
    """Waits as long as a host asks for (Retry-After), within a limit; otherwise retries as Scrapy does.

    Attributes:
        left_s: seconds that the crawl may still wait.
        until: host → time (monotonic) before which nothing is asked of it.
    """

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.left_s = settings.getfloat("LANGAUDIO_MAX_WAIT_S")
        self.until: defaultdict[str, float] = defaultdict(float)
        self._postponed: dict[str, Postponed] = {}

    def process_request(self, request: Request) -> None:
        # The crawl ends, and what it would have asked for meanwhile is not asked for.
        if postponed := self._postponed.get(_host(request.url)):
            raise postponed

    # Scrapy awaits it, which its base class does not say.
    async def process_response(self, request: Request, response: Response) -> Request | Response:  # type: ignore[override]
        wait_s = _retry_after(response)
        if wait_s is None:
            return super().process_response(request, response)
        # At least a second, so that a host that always says 0 comes to an end, too.
        wait_s = max(1.0, wait_s)
        if wait_s > self.left_s:
            self._postponed[_host(request.url)] = Postponed(
                f"{request.url} answers {response.status} and asks us to wait {wait_s:.0f} s; of "
                f"LANGAUDIO_MAX_WAIT_S {self.left_s:.0f} s are left: try later."
            )
            raise self._postponed[_host(request.url)]
        self.left_s -= wait_s
        log.info("%s answers %d: waiting %.0f s, as it asks", request.url, response.status, wait_s)
        host = _host(request.url)
        self.until[host] = max(self.until[host], monotonic() + wait_s)
        return request.replace(dont_filter=True, priority=request.priority + 1)


class PatientHandler(HTTP11DownloadHandler):
    """Asks nothing of a host that wants us to wait, and counts the seconds that requests have waited."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        crawler.signals.connect(_note_time, signals.request_reached_downloader)

    async def download_request(self, request: Request) -> Response:
        waiting = self._crawler.get_downloader_middleware(WaitAndRetry)
        host = _host(request.url)
        while waiting and (left_s := waiting.until[host] - monotonic()) > 0:
            await asyncio.sleep(left_s)
        assert self._crawler.stats is not None
        self._crawler.stats.inc_value(_WAITED, monotonic() - request.meta.pop(_QUEUED, monotonic()))
        return await super().download_request(request)


def _note_time(request: Request) -> None:
    request.meta[_QUEUED] = monotonic()


def _retry_after(response: Response) -> float | None:
    """Return the seconds that an answer asks us to wait, or None if it does not."""
    asked = response.headers.get("Retry-After") if response.status in (429, 503) else None
    if asked is None:
        return None
    text = asked.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (time.replace(tzinfo=time.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port; what is no plain http address has an origin that nothing has."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return "", "", 0
    return ("", "", 0) if parts.username or parts.password else (parts.scheme, _host(url), port)


def _by_https(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="https", netloc=parts.netloc.removesuffix(":80")))


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")


def _is_configured_address(host: str) -> bool:
    """Whether a root's host says by itself where it is: an address, or this machine."""
    try:
        return bool(ip_address(host))
    except ValueError:
        return host == "localhost"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public(address: str) -> bool:
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return found.is_global and not found.is_multicast
