"""The old design (SPIP 3.1): lists and clip pages show a clip as the same ``article`` element."""

from __future__ import annotations

import re
from datetime import date

from parsel import Selector

from langaudio.crawl.entry import Entry
from langaudio.crawl.pages import PageChanged, absolute
from langaudio.crawl.pages.audio_lingua.listing import ListPage, announced, article_page, tags_of

# Only what is in #content: a "Top Ten" box beside it shows clips of other languages.
LIST = "#content .liste.articles"
CLIP = "#content article.entry.hentry"

_ITEM = "ul.liste-items > li.item > article.entry.hentry"
_AUDIO = "div.download a::attr(href), audio > source[type='audio/mpeg']::attr(src)"


def parse_list(page: Selector, url: str) -> ListPage:
    """Read a page of a list.

    Raises:
        PageChanged: the total or all the entries are missing.
    """
    content = page.css(LIST)
    total = announced(content.css("h2 *::text, h2::text").getall())
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
    number = re.search(r"\barticle-titre-([0-9]{1,9})\b", " ".join(article.xpath(".//@class").getall()))
    if number is None:
        raise PageChanged(f"{url} has a clip without a number (class article-titre-N).")
    speaker = re.search(r"\bauteur[0-9]{1,9}\b", article.css(".author a.url::attr(href)").get(""))
    title = " ".join(article.css(".entry-title *::text, .entry-title::text").getall())
    return Entry(
        page_url=article_page(number[1], url),
        audio_url=absolute(url, article.css(_AUDIO).get()),
        title=" ".join(title.split()) or None,
        published=_date(article.css("p.publication time::attr(datetime)").get("")),
        speaker=speaker and speaker[0],
        licence=absolute(url, article.css("aside.options a[href*=creativecommons]::attr(href)").get()),
        **tags_of(article.css(".postmeta a.label")),
    )


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
