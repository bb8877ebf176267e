"""Serve a site folder with the addresses and pages of audio-lingua's old design.

What a crawler has to cope with there is here too: the kind of page is the first parameter of its address,
a list past its end answers with its last page again, and a "Top Ten" box beside every page holds the
same elements as the list itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from langaudio.demo import contents
from langaudio.demo.contents import MP3_FOLDER, TAGS, Entry
from langaudio.languages import get

PAGE_SIZE = 5
"""Clips on a page of a list."""

_FEED_SIZE = 10
_TOP = 10

_ROBOTS = """\
User-agent: *
Content-Signal: search=yes, ai-train=yes
Allow: /
"""

# SPIP takes what a page shows from the first parameter alone.
_OBJECT = re.compile(r"(rubrique|article|auteur|mot)([0-9]{1,9})=?")

_TEMPLATES = Environment(
    loader=PackageLoader("langaudio.demo"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def app(folder: Path) -> Starlette:
    """Return the site of a folder that ``build_synthetic`` or ``build_from_corpus`` filled.

    Raises:
        LangaudioError: the folder is not a complete site.
    """
    entries = contents.read(folder)
    site = Starlette(
        routes=[
            Route("/", _home),
            Route("/spip.php", _spip),
            Route("/robots.txt", _robots),
            Mount(f"/{MP3_FOLDER.as_posix()}", StaticFiles(directory=folder / MP3_FOLDER)),
        ]
    )
    site.state.entries = entries
    site.state.by_article = {entry.article: entry for entry in entries}
    site.state.by_section = defaultdict(list)
    for entry in entries:
        site.state.by_section[entry.section].append(entry)
    return site


def serve(folder: Path, port: int) -> None:
    """Serve the site of a folder on the loopback interface until the process is told to stop.

    Raises:
        LangaudioError: the folder is not a complete site.
    """
    uvicorn.run(app(folder), host="127.0.0.1", port=port, log_level="warning")


async def _home(request: Request) -> Response:
    entries = _entries(request)
    languages = {
        entry.section: get(entry.language).name for entry in sorted(entries, key=lambda entry: entry.section)
    }
    return _html(request, "home.html", title="Audio library", languages=languages)


async def _robots(_request: Request) -> Response:
    return PlainTextResponse(_ROBOTS)


async def _spip(request: Request) -> Response:
    first = request.url.query.partition("&")[0]
    if not first:
        return await _home(request)
    if first == "page=backend":
        return _feed(request)
    if (found := _OBJECT.fullmatch(first)) is None:
        raise HTTPException(404)
    return _PAGES[found[1]](request, int(found[2]))


def _section(request: Request, number: int) -> Response:
    entries = _in_section(request, number)
    return _list(request, f"rubrique{number}", get(entries[0].language).name, entries)


def _tag(request: Request, number: int) -> Response:
    if number not in TAGS:
        raise HTTPException(404)
    entries = [entry for entry in _entries(request) if number in entry.tags]
    address = f"mot{number}"
    if section := request.query_params.get("id_rubrique"):
        entries = [entry for entry in entries if str(entry.section) == section]
        address += f"&id_rubrique={section}"
    return _list(request, address, TAGS[number][1], entries)


def _speaker(request: Request, number: int) -> Response:
    entries = [entry for entry in _entries(request) if entry.auteur == number]
    if not entries:
        raise HTTPException(404)
    return _list(request, f"auteur{number}", entries[0].speaker, entries)


def _clip(request: Request, number: int) -> Response:
    entry = request.app.state.by_article.get(number)
    if entry is None:
        raise HTTPException(404)
    return _html(request, "clip.html", title=entry.title, entry=entry)


_PAGES: dict[str, Callable[[Request, int], Response]] = {
    "rubrique": _section,
    "article": _clip,
    "auteur": _speaker,
    "mot": _tag,
}


def _feed(request: Request) -> Response:
    number = request.query_params.get("id_rubrique", "")
    if not re.fullmatch("[0-9]{1,9}", number):
        raise HTTPException(404)
    entries = _in_section(request, int(number))
    text = _TEMPLATES.get_template("backend.xml").render(
        title=get(entries[0].language).name,
        base=str(request.base_url),
        entries=entries[:_FEED_SIZE],
        tags=TAGS,
        mp3_folder=MP3_FOLDER.as_posix(),
    )
    return Response(text, media_type="text/xml")


@dataclass(frozen=True)
class _Page:
    """A page of a list.

    Attributes:
        entries: what is on it.
        offsets: the offsets of all pages.
        offset: its own.
    """

    entries: Sequence[Entry]
    offsets: range
    offset: int


def _page(entries: Sequence[Entry], offset: int) -> _Page:
    """Cut a page as SPIP does: an offset past the end is the last page's, and -1 means everything."""
    offsets = range(0, max(1, len(entries)), PAGE_SIZE)
    if offset == -1:
        return _Page(entries, range(1), 0)
    offset = min(max(offset, 0), offsets[-1])
    return _Page(entries[offset : offset + PAGE_SIZE], offsets, offset)


def _list(request: Request, address: str, title: str, entries: list[Entry]) -> Response:
    # The interface's language changes words, never which clips are listed.
    language = "en" if request.query_params.get("lang") == "en" else "fr"
    offset = request.query_params.get("debut_articles", "0")
    return _html(
        request,
        "list.html",
        title=title,
        address=f"spip.php?{address}&lang={language}",
        total=f"{len(entries)} {'Resources' if language == 'en' else 'ressources'}",
        page=_page(entries, int(offset) if re.fullmatch("-?[0-9]{1,9}", offset) else 0),
    )


def _html(request: Request, template: str, **values: object) -> Response:
    text = _TEMPLATES.get_template(template).render(
        **values, top=_entries(request)[-_TOP:], tags=TAGS, mp3_folder=MP3_FOLDER.as_posix()
    )
    return HTMLResponse(text)


def _entries(request: Request) -> list[Entry]:
    entries: list[Entry] = request.app.state.entries
    return entries


def _in_section(request: Request, number: int) -> list[Entry]:
    found: list[Entry] = request.app.state.by_section.get(number, [])
    if not found:
        raise HTTPException(404)
    return found
