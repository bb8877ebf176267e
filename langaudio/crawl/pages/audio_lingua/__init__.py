"""The pages of audio-lingua: lists of clips, pages of one clip, the feed; in both designs of the site.

A page says itself which design it has. One that has neither is a changed site, never an empty one. No query
looks below each of many elements, which would take the square of their number: pages may be hostile.
"""

from __future__ import annotations

from parsel import Selector

from langaudio.crawl.clips import Entry
from langaudio.crawl.pages import PageChanged
from langaudio.crawl.pages.audio_lingua import new, old
from langaudio.crawl.pages.audio_lingua.feed import parse_feed
from langaudio.crawl.pages.audio_lingua.listing import ListPage

_MOST_ELEMENTS = 20_000
_MOST_DEPTH = 100

__all__ = ["ListPage", "parse_clip", "parse_feed", "parse_list"]


def parse_list(text: str, url: str) -> ListPage:
    """Read a page of a list.

    Raises:
        PageChanged: it has neither design, or lacks what every list has.
    """
    page = _page(text, url)
    for design in (old, new):
        if design.lists(page):
            return design.parse_list(page, url)
    raise PageChanged(f"{url} shows no list of clips: it has neither {old.LIST!r} nor {new.LIST!r}.")


def parse_clip(text: str, url: str) -> Entry:
    """Read the page of one clip.

    Raises:
        PageChanged: it shows no clip.
    """
    page = _page(text, url)
    for design in (old, new):
        if clips := design.clips(page):
            return design.parse_entry(clips[0], url)
    raise PageChanged(f"{url} shows no clip: it has neither {old.CLIP!r} nor {new.CLIP!r}.")


def _page(text: str, url: str) -> Selector:
    page = Selector(text)
    if page.xpath("/*" * _MOST_DEPTH) or page.xpath(f"/*[count(//*) > {_MOST_ELEMENTS}]"):
        raise PageChanged(
            f"{url} has more than {_MOST_ELEMENTS} elements, or {_MOST_DEPTH} inside each other: no page of "
            "the site has."
        )
    return page
