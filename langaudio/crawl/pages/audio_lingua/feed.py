"""The feed of news: the ten newest clips of a language, and those of the last three days."""

from __future__ import annotations

import re

from parsel import Selector

from langaudio.crawl.pages import PageChanged
from langaudio.crawl.pages.audio_lingua.listing import article_page


def parse_feed(data: bytes, url: str) -> list[str]:
    """Return the addresses of the clips' pages.

    Raises:
        PageChanged: it is no feed.
    """
    # The parser neither resolves entities nor fetches anything; what is broken it reads as far as it goes.
    feed = Selector(data.decode(errors="replace").replace("\0", ""), type="xml")
    if not feed.xpath("/rss/channel"):
        raise PageChanged(f"{url} is no feed (/rss/channel).")
    links = (
        re.search(r"\barticle([0-9]{1,9})\b", link) for link in feed.xpath("//item/link/text()").getall()
    )
    return [article_page(link[1], url) for link in links if link]
