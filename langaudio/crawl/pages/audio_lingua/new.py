"""The new design (the French state's design system): a clip is an alert box with the class ``mp3``."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit, urlunsplit

from parsel import Selector, SelectorList

from langaudio.crawl.clips import Entry
from langaudio.crawl.pages import PageChanged, absolute
from langaudio.crawl.pages.audio_lingua.listing import (
    MOST_TAGS,
    ListPage,
    announced,
    article_page,
    tags_of,
    text_of,
)
from langaudio.crawl.pages.french_dates import parse_french_date

LIST = CLIP = "div.fr-alert.mp3"

_NEXT = "a[aria-label='Aller à la page suivante']::attr(href), a.fr-pagination__link--next::attr(href)"
_TAG = ".//a[i[contains(@class, 'icon-tag')]][ancestor::div[contains(@class, 'fr-pt-2w')]]"
_LICENCE = "a[href*=creativecommons]::attr(href)"


def lists(page: Selector) -> SelectorList[Selector]:
    return page.css(LIST)


clips = lists


def parse_list(page: Selector, url: str) -> ListPage:
    """Read a page of a list. Whether the design announces a total is not known: one that is there counts."""
    licences = set(page.css(_LICENCE).getall())
    # A page may name one licence for all of its clips.
    licence = absolute(url, licences.pop()) if len(licences) == 1 else None
    return ListPage(
        announced(page.css("main")[:1].css("h1, h2")[:10].xpath(".//text()").getall()),
        [parse_entry(item, url, licence) for item in lists(page)],
        absolute(url, page.css(_NEXT).get()),
    )


def parse_entry(item: Selector, url: str, licence: str | None = None) -> Entry:
    """Read a clip.

    Args:
        item: its box.
        url: address of the page.
        licence: what holds if the box names none.

    Raises:
        PageChanged: the box has neither title nor file.
    """
    heading = item.css("h3.fr-alert__title")[:1]
    # What else stands in a heading, a badge for example, is no part of its title.
    title = " ".join(" ".join(heading.xpath("text()").getall()).split()) or text_of(heading)
    # The address of the file is written out, after a colon.
    lines = item.css("p.fr-text--sm.fr-mt-2w")[:10]
    told = " ".join(text for line in lines for text in line.xpath(".//text()[ancestor::section]").getall())
    address = re.search(r":\s*(https?://\S{1,2000})", told)
    audio_url = absolute(url, address[1]) if address else None
    links = " ".join(item.css("a::attr(href)").getall())
    number = re.search(r"\barticle([0-9]{1,9})\b", links)
    if title is None and audio_url is None:
        raise PageChanged(f"{url} has a clip with neither title nor file (h3.fr-alert__title, section p).")
    speaker = re.search(r"\bauteur[0-9]{1,9}\b", links)
    return Entry(
        page_url=article_page(number[1], url) if number else audio_url or _by_title(url, title or ""),
        audio_url=audio_url,
        title=title,
        published=parse_french_date(text_of(item.css("span.fr-icon-calendar-event-fill")) or ""),
        speaker=speaker[0] if speaker else text_of(item.css("span.fr-icon-account-circle-fill")),
        licence=absolute(url, item.css(_LICENCE).get()) or licence,
        **tags_of(
            (link.root.get("href", ""), " ".join(link.css("*::text").getall()))
            for link in item.xpath(_TAG)[:MOST_TAGS]
        ),
    )


def _by_title(url: str, title: str) -> str:
    """Return what a clip without a page and without a file is known by: its list, and its title."""
    parts = urlsplit(url)
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:80].strip("-")
    return urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query.partition("&")[0], slug))
