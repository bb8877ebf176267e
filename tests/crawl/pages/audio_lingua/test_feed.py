"""The feed of news."""

from __future__ import annotations

import pytest

from langaudio.crawl.pages import PageChanged
from langaudio.crawl.pages.audio_lingua import parse_feed

URL = "https://site.example/spip.php?page=backend&id_rubrique=1"


def feed(*items: str) -> bytes:
    head = "<?xml version='1.0' encoding='utf-8'?>"
    return f"{head}<rss version='2.0'><channel>{''.join(items)}</channel></rss>".encode()


def test_items_give_the_addresses_of_their_pages() -> None:
    data = feed(
        "<item><title>a</title><link>https://old.example/spip.php?article12&amp;lang=fr</link></item>",
        "<item><link>https://site.example/spip.php?article9</link></item>",
        "<item><link>https://site.example/spip.php?auteur9</link></item>",
        "<item><title>no link</title></item>",
    )
    assert parse_feed(data, URL) == [
        "https://site.example/spip.php?article12",
        "https://site.example/spip.php?article9",
    ]


def test_a_feed_without_news_is_one() -> None:
    assert parse_feed(feed(), URL) == []


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"{}", b"\x00\xff" * 100, b"<rss></rss>"])
def test_what_is_no_feed_is_a_changed_page(data: bytes) -> None:
    with pytest.raises(PageChanged, match="is no feed"):
        parse_feed(data, URL)


def test_entities_are_not_expanded_and_nothing_is_fetched() -> None:
    bomb = "<!DOCTYPE rss [<!ENTITY a 'article1 article1'>" + "".join(
        f"<!ENTITY {name} '{f'&{before};' * 50}'>" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    bomb += "<!ENTITY file SYSTEM 'file:///etc/passwd'>]>"
    text = f"{bomb}<rss><channel><item><link>&h;&file;</link></item></channel></rss>"
    assert parse_feed(text.encode(), URL) == []
