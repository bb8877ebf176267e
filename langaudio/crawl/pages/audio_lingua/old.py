"""The old design (SPIP 3.1): lists and clip pages show a clip as the same ``article`` element."""

from __future__ import annotations

import re
from datetime import date

from parsel import Selector, SelectorList

from langaudio.crawl.clips import Entry
from langaudio.crawl.pages import PageChanged, absolute
from langaudio.crawl.pages.audio_lingua.listing import (
    MOST_TAGS,
    ListPage,
    announced,
    article_page,
    tags_of,
)

LIST = "#content .liste.articles"
CLIP = "#content article.entry.hentry"

_ITEM = "ul.liste-items > li.item > article.entry.hentry"
_NUMBER = re.compile(r"article-titre-([0-9]{1,9})")
_SPEAKER = re.compile(r"\bauteur[0-9]{1,9}\b")


def lists(page: Selector) -> SelectorList[Selector]:
    return _content(page).css(".liste.articles")[:1]


def clips(page: Selector) -> SelectorList[Selector]:
    return _content(page).css("article.entry.hentry")


def _content(page: Selector) -> SelectorList[Selector]:
    # A "Top Ten" box beside it shows clips of other languages.
    return page.css("#content")[:1]


def parse_list(page: Selector, url: str) -> ListPage:
    """Read a page of a list.

    Raises:
        PageChanged: the total or all the entries are missing.
    """
    content = lists(page)
    total = announced(content.css("h2")[:5].xpath(".//text()").getall())
    if total is None:
        raise PageChanged(f"{url} announces no number of clips ({LIST} h2).")
    articles = content.css(_ITEM)
    if not articles and total > 0:
        raise PageChanged(f"{url} announces {total} clips and lists none ({_ITEM}).")
    return ListPage(total, [parse_entry(article, url) for article in articles])


def parse_entry(article: Selector, url: str) -> Entry:
    """Read a clip.

    Raises:
        PageChanged: it has no number.
    """
    # One pass over the elements: a query for each field would take longer than fetching the page.
    number = title = day = speaker = licence = audio = None
    tags: list[tuple[str, str]] = []
    for element in article.root.iter("*"):
        kind, classes = element.tag, (element.get("class") or "").split()
        if number is None and "article-titre-" in (element.get("class") or ""):
            number = next((found for found in map(_NUMBER.fullmatch, classes) if found), None)
        if title is None and "entry-title" in classes:
            title = " ".join("".join(element.itertext()).split())
        elif kind == "time":
            day = day or element.get("datetime")
        elif kind == "a" and element.get("href"):
            link = element.get("href")
            if "label" in classes and len(tags) < MOST_TAGS:
                tags.append((link, "".join(element.itertext())))
            elif speaker is None and "url" in classes:
                speaker = _SPEAKER.search(link)
            elif licence is None and "creativecommons" in link:
                licence = link
            elif audio is None and "download" in (element.getparent().get("class") or "").split():
                audio = link
        elif kind == "source" and audio is None and element.get("type") == "audio/mpeg":
            audio = element.get("src")
    if number is None:
        raise PageChanged(f"{url} has a clip without a number (class article-titre-N).")
    return Entry(
        page_url=article_page(number[1], url),
        audio_url=absolute(url, audio),
        title=title or None,
        published=_date(day or ""),
        speaker=speaker[0] if speaker else None,
        licence=absolute(url, licence),
        **tags_of(tags),
    )


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
