"""A site of audio-lingua's structure that tests can change while it is crawled, and make misbehave."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

PAGE_SIZE = 5
RUBRIQUES = {"fr": 1, "en": 2, "es": 4}

Answer = Callable[[Request], Awaitable[Response] | Response]


@dataclass
class Clip:
    """A clip of the site; without ``audio`` its entry links no file."""

    number: int
    audio: bytes | None
    title: str = "A title"
    level: int = 12
    speaker: int = 1
    file: str = ""

    @property
    def path(self) -> str:
        return f"/IMG/mp3/{self.file or self.number}.mp3"


@dataclass
class Library:
    """The site, an ASGI application.

    Attributes:
        clips: of each language, the newest first.
        robots: text of robots.txt; None answers 404.
        answers: address (with its query) → what answers instead of the site.
        asked: addresses that were asked for, in order.
        times: when, in seconds.
        agents: what those who asked called themselves.
        announced: number that the old design's lists announce; None: the right one.
        new_design: whether lists have the site's new design.
        not_modified: how often the answer was 304.
        changed: when the site changed last; None leaves conditional requests alone.
    """

    clips: dict[str, list[Clip]]
    robots: str | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    not_modified: int = 0
    changed: datetime | None = None
    announced: int | None = None
    new_design: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append(address)
        self.agents.add(request.headers.get("User-Agent", ""))
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.get(address) or self.answers.get(request.url.path) or self._answer
        response = answer(request)
        if isinstance(response, Awaitable):
            response = await response
        await response(scope, receive, send)

    def audio_asked(self) -> list[str]:
        return [address for address in self.asked if address.startswith("/IMG/")]

    def _answer(self, request: Request) -> Response:
        path, query = request.url.path, request.url.query
        if path == "/robots.txt":
            return Response(self.robots, 200 if self.robots is not None else 404, media_type="text/plain")
        if path.startswith("/IMG/"):
            found = [clip for clip in self._all() if clip.path == path and clip.audio is not None]
            return Response(found[0].audio, media_type="audio/mpeg") if found else Response(status_code=404)
        since = request.headers.get("If-Modified-Since")
        if self.changed and since and parsedate_to_datetime(since) >= self.changed.replace(microsecond=0):
            self.not_modified += 1
            return Response(status_code=304)
        headers = {"Last-Modified": format_datetime(self.changed, usegmt=True)} if self.changed else {}
        if query.startswith("page=backend"):
            return Response(self._feed(int(query.rpartition("=")[2])), headers=headers, media_type="text/xml")
        if query.startswith("article"):
            clip = next((clip for clip in self._all() if query == f"article{clip.number}"), None)
            if clip is None:
                return Response(status_code=404)
            return Response(_page(_item(clip, linked=True)), headers=headers, media_type="text/html")
        parameters = dict(part.split("=") for part in query.split("&")[1:])
        number = int(query.partition("&")[0].removeprefix("rubrique"))
        text = self._list(self._section(number), int(parameters["debut_articles"]), number)
        text = text.replace("http://HOST", str(request.base_url).rstrip("/"))
        return Response(text, headers=headers, media_type="text/html")

    def _all(self) -> list[Clip]:
        return [clip for clips in self.clips.values() for clip in clips]

    def _section(self, number: int) -> list[Clip]:
        return next(self.clips.get(language, []) for language, own in RUBRIQUES.items() if own == number)

    def _list(self, clips: list[Clip], offset: int, number: int = 1) -> str:
        # SPIP clamps an offset past the end to the last page.
        offset = min(offset, max(0, len(clips) - 1) // PAGE_SIZE * PAGE_SIZE)
        shown = clips[offset : offset + PAGE_SIZE]
        if self.new_design:
            return _new_page(shown, number, offset + PAGE_SIZE if offset + PAGE_SIZE < len(clips) else None)
        items = "".join(f'<li class="item">{_item(clip, linked=True)}</li>' for clip in shown)
        total = len(clips) if self.announced is None else self.announced
        listed = f'<h2>{total} Resources</h2><ul class="liste-items">{items}</ul>'
        return _page(f'<div class="liste articles">{listed}</div>')

    def _feed(self, number: int) -> str:
        items = "".join(
            f"<item><title>{escape(clip.title)}</title><link>http://elsewhere/spip.php?article{clip.number}</link></item>"
            for clip in self._section(number)[:10]
        )
        return f"<rss version='2.0'><channel><title>News</title>{items}</channel></rss>"


def numbered(numbers: range, language: str = "fr") -> list[Clip]:
    """Return clips whose files are all different, the newest first."""
    return [
        Clip(number, f"{language} {number} ".encode() * 50, f"Title {number}") for number in reversed(numbers)
    ]


def now() -> datetime:
    return datetime.now(UTC)


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(status_code=code, headers=named)


def times(number: int, first: Answer, then: Answer) -> Answer:
    """Answer one way so many times, then another."""
    left = [number]

    def answer(request: Request) -> Awaitable[Response] | Response:
        left[0] -= 1
        return (first if left[0] >= 0 else then)(request)

    return answer


def redirect(address: str) -> Answer:
    return lambda _: RedirectResponse(address, 302)


def body(data: bytes, media_type: str = "audio/mpeg", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(data, media_type=media_type, headers=named)


def stalled(_: Request) -> Response:
    """Say that something comes, and send no more than its beginning."""

    async def content() -> AsyncIterator[bytes]:
        yield b"\xff\xfb"
        await asyncio.sleep(3600)

    return StreamingResponse(content(), media_type="audio/mpeg")


def dripping(_: Request) -> Response:
    """Send a byte now and then, without end."""

    async def content() -> AsyncIterator[bytes]:
        while True:
            yield b"\0"
            await asyncio.sleep(0.1)

    return StreamingResponse(content(), media_type="audio/mpeg")


def endless(_: Request) -> Response:
    """Send zeros as fast as they are taken, up to 1 GB."""

    async def content() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(10**6)

    return StreamingResponse(content(), media_type="audio/mpeg")


def cut(announced: int, sent: int) -> Answer:
    """Announce more than comes: the connection is cut in mid-file."""

    async def content() -> AsyncIterator[bytes]:
        yield bytes(sent)

    headers = {"Content-Length": str(announced)}
    return lambda _: StreamingResponse(content(), media_type="audio/mpeg", headers=headers)


def gzip_bomb(_: Request) -> Response:
    """A gigabyte of zeros in a megabyte."""
    packed = gzip.compress(bytes(10**6), 9) * 1000
    return Response(packed, media_type="text/html", headers={"Content-Encoding": "gzip"})


def _page(content: str) -> str:
    return f'<html><head><meta charset="utf-8"></head><body><div id="content">{content}</div></body></html>'


def _item(clip: Clip, *, linked: bool) -> str:
    audio = (
        f'<div class="download"><a href="{clip.path[1:]}">MP3</a></div>'
        if clip.audio is not None and linked
        else ""
    )
    return f"""<article class="entry article hentry">
      <strong class="entry-title article-titre-{clip.number}">{escape(clip.title)}</strong>
      <p class="publication"><time datetime="2024-01-02T08:00:00Z">02/01/2024</time>
      <span class="author"><a class="url" href="spip.php?auteur{clip.speaker}">A name (A town)</a></span></p>
      <p class="postmeta"><a class="label" href="spip.php?mot{clip.level}"><i class="icon-tag2"></i></a></p>
      {audio}
      <aside class="options"><a href="https://creativecommons.org/licenses/by-nc-sa/3.0/">CC</a></aside>
    </article>"""


def _new_page(clips: list[Clip], rubrique: int, following: int | None) -> str:
    items = "".join(
        f"""<div class="fr-alert fr-alert--info mp3">
        <h3 class="fr-alert__title"><a href="spip.php?article{clip.number}">{escape(clip.title)}</a></h3>
        <p class="fr-text--sm"><span class="fr-icon-calendar-event-fill">mardi 2 janvier 2024</span>
        <span class="fr-icon-account-circle-fill"><a href="spip.php?auteur{clip.speaker}">Name</a></span></p>
        <div class="fr-pt-2w"><a href="spip.php?mot{clip.level}"><i class="icon-tag2"></i></a></div>
        <section><p class="fr-text--sm fr-mt-2w">Fichier : http://HOST{clip.path}</p></section></div>"""
        for clip in clips
    )
    address = f"spip.php?rubrique{rubrique}&amp;lang=fr&amp;debut_articles={following}"
    link = f"<a aria-label='Aller à la page suivante' href='{address}'>2</a>" if following else ""
    licence = '<a href="https://creativecommons.org/licenses/by-nc-sa/3.0/">CC</a>'
    return f'<html><head><meta charset="utf-8"></head><body><main>{items}{link}{licence}</main></body></html>'
