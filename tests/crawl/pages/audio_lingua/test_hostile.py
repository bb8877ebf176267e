"""Whatever comes, the parsers give entries or a changed page, and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langaudio.crawl.pages import PageChanged
from langaudio.crawl.pages.audio_lingua import parse_clip, parse_feed, parse_list
from tests.crawl.pages.audio_lingua import test_feed, test_new, test_old

PAGES = [test_old.page(test_old.ARTICLE, test_old.BARE), test_new.page(test_new.ITEM, test_new.BARE)]


def inside(begin: str, end: str, depth: int) -> str:
    """Elements inside each other, as many as a page may have at least: queries of them took minutes."""
    return (begin * depth + end * depth) * (19_000 // (depth * begin.count("<")))


@st.composite
def mutated(draw: st.DrawFn, original: str) -> str:
    """A page with pieces cut out, doubled, and put in."""
    text = original
    for _ in range(draw(st.integers(1, 5))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 80)))
        put = draw(st.one_of(st.just(text[begin:end] * 2), st.text(max_size=20), st.just("")))
        text = text[:begin] + put + text[end:]
    return text


@given(st.sampled_from(PAGES).flatmap(mutated), st.sampled_from([parse_list, parse_clip]))
def test_mutilated_pages_give_entries_or_a_changed_page(text: str, parser: object) -> None:
    with contextlib.suppress(PageChanged):
        parser(text, test_new.URL)  # type: ignore[operator]


@given(st.text(max_size=500))
def test_any_text_is_read(text: str) -> None:
    for parser in (parse_list, parse_clip):
        with pytest.raises(PageChanged):
            parser(text, test_new.URL)


@given(
    st.one_of(
        st.binary(max_size=500),
        mutated(test_feed.feed("<item><link>article1</link></item>").decode()).map(str.encode),
    )
)
def test_any_bytes_are_read_as_a_feed(data: bytes) -> None:
    with contextlib.suppress(PageChanged):
        parse_feed(data, test_feed.URL)


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 100_000,
        PAGES[0].replace("</li>", "<ul><li>" * 20_000),
        "<div id='content'><div class='liste articles'><h2>" + "1 " * 500_000,
        test_new.page(test_new.ITEM.replace("https://site.example", ": " * 200_000)),
        test_new.page(test_new.ITEM.replace("jeudi 3 octobre 2024", "1 a " * 200_000)),
        "\x00" * 10**6,
        "<a href='" + "x" * 10**6,
        inside("<div id='content' class='liste articles'>", "</div>", 90),
        inside("<div class='fr-alert mp3'>", "</div>", 90),
        inside("<ul class='liste-items'><li class='item'><article class='entry hentry'>", "</article>", 25),
        test_new.page(test_new.ITEM.replace("<a ", inside("<div class='fr-pt-2w'><a ", "</div>", 80))),
        test_new.page(test_new.ITEM.replace("</section>", inside("<section><p>", "</section>", 80))),
        test_new.page(*[test_new.BARE] * 9_000),
        "<main>" + "<h1><b>1 x</b></h1>" * 200_000,
        test_new.page(test_new.ITEM.replace("<a href", "<a \x1fhref")),
        test_old.page(test_old.ARTICLE.replace("<a href", "<a \x1fhref")),
    ],
    ids=[
        *("nested", "unclosed", "digits", "colons", "dates", "nothing", "one long address", "lists in lists"),
        *("boxes in boxes", "articles in articles", "tags in tags", "sections", "boxes", "headings"),
        *("a new name", "an old name"),
    ],
)
def test_what_is_made_to_stop_a_parser_does_not(text: str) -> None:
    for parser in (parse_list, parse_clip):
        with contextlib.suppress(PageChanged):
            parser(text, test_new.URL)


@pytest.mark.parametrize("text", [PAGES[0] + "<b></b>" * 20_000, PAGES[1] + "<div>" * 100 + "x"])
def test_a_page_that_no_site_has_is_a_changed_page(text: str) -> None:
    with pytest.raises(PageChanged, match="no page of the site has"):
        parse_list(text, test_new.URL)
