"""The pages of audio-lingua, old design (SPIP 3.1): a list of clips, and the page of one clip.

Both show a clip as the same ``article`` element, so one parser reads both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin

from parsel import Selector

from langaudio.crawl.entry import Entry
from langaudio.crawl.pages import PageChanged

_LEVELS = {10: "A1", 11: "A2", 12: "B1", 13: "B2", 14: "C1", 15: "C2"}
_SEXES = {16: "male", 17: "female"}
_AGES = {18: "child", 19: "adult", 20: "teenager", 21: "senior"}


@dataclass(frozen=True)
class ListPage:
    """A page of a language's list: how many clips the list has in all, and those of this page."""

    total: int | None
    entries: list[Entry]
    next_url: str | None = None


@dataclass(frozen=True)
class FeedItem:
    page_url: str


def parse_list(html: str, url: str) -> ListPage:
    """Read a page of a list.

    Raises:
        PageChanged: the total or all the entries are missing.
    """
    page = Selector(html)
    # Only the list in #content: a "Top Ten" box beside it shows clips of other languages.
    content = page.css("#content .liste.articles")
    total = re.search(r"\d+", " ".join(content.css("h2::text").getall()))
    if total is None:
        raise PageChanged(f"{url} announces no number of clips (#content .liste.articles h2).")
    articles = content.css("ul.liste-items > li.item > article.entry.hentry")
    if not articles and int(total[0]) > 0:
        raise PageChanged(f"{url} announces {total[0]} clips and lists none (article.entry.hentry).")
    return ListPage(int(total[0]), [_entry(article, url) for article in articles])


def parse_clip(html: str, url: str) -> Entry:
    """Read the page of one clip.

    Raises:
        PageChanged: it shows no clip.
    """
    articles = Selector(html).css("#content article.entry.hentry")
    if not articles:
        raise PageChanged(f"{url} shows no clip (#content article.entry.hentry).")
    return _entry(articles[0], url)


def _entry(article: Selector, url: str) -> Entry:
    number = re.search(r"article-titre-(\d+)", " ".join(article.xpath(".//@class").getall()))
    if number is None:
        raise PageChanged(f"{url} has a clip without a number (class article-titre-N).")
    tags = {int(tag) for tag in article.css(".postmeta a.label").re(r"[?&;]mot(\d+)")}
    speaker = re.search(r"auteur\d+", article.css(".author a.url::attr(href)").get(""))
    audio = article.css("div.download a::attr(href), audio > source[type='audio/mpeg']::attr(src)").get()
    title = " ".join(article.css(".entry-title *::text, .entry-title::text").getall())
    return Entry(
        page_url=urljoin(url, f"spip.php?article{number[1]}"),
        title=" ".join(title.split()) or None,
        speaker=speaker and speaker[0],
        speaker_sex=_first(_SEXES, tags),
        speaker_age=_first(_AGES, tags),
        cefr_level=_first(_LEVELS, tags),
        licence=article.css("aside.options a[href*=creativecommons]::attr(href)").get(),
        audio_url=urljoin(url, audio) if audio else None,
    )


def _first(names: dict[int, str], tags: set[int]) -> str | None:
    return next((name for tag, name in names.items() if tag in tags), None)


def parse_feed(data: bytes, url: str) -> list[FeedItem]:
    """Read the feed of news.

    Raises:
        PageChanged: it is no feed.
    """
    feed = Selector(data.decode(errors="replace"), type="xml")
    if not feed.xpath("//channel"):
        raise PageChanged(f"{url} is no feed.")
    links = feed.xpath("//item/link/text()").re(r"article(\d+)")
    return [FeedItem(urljoin(url, f"spip.php?article{number}")) for number in links]
