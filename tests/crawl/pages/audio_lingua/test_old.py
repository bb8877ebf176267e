"""The parser on hand-made pages of the old design."""

from __future__ import annotations

from datetime import date
from urllib.parse import urljoin

import pytest

from langaudio.crawl.pages import PageChanged
from langaudio.crawl.pages.audio_lingua import parse_clip, parse_list

URL = "http://site.example/spip.php?rubrique1&lang=en"

ARTICLE = """
<article class="entry article hentry">
 <h3 class="entry-title article-titre-8374"><a href="spip.php?article8374">
 L&#8217;été &amp; moi</a></h3>
 <p class="publication"><time datetime="2023-01-05T10:00:00Z">5 January</time></p>
 <span class="author">
  <a class="url" href="spip.php?auteur925&amp;lang=en">Tristan (Yvelines, France)</a></span>
 <p class="postmeta">
  <a class="label" href="spip.php?mot12&amp;id_rubrique=1"><i class="icon-tag2"></i> B1</a>
  <a class="label" href="spip.php?mot16&amp;id_rubrique=1"><i class="icon-tag3"></i> Male voice</a>
  <a class="label" href="spip.php?mot20&amp;id_rubrique=1"><i class="icon-tag4"></i> Teenager</a></p>
 <div class="download"><a href="IMG/mp3/ete.mp3">mp3</a></div>
 <aside class="options"><a href="https://creativecommons.org/licenses/by-nc-sa/3.0/fr/">cc</a></aside>
</article>"""

BARE = '<article class="entry article hentry"><h3 class="entry-title article-titre-7">x</h3></article>'


def page(*articles: str, heading: str = "976 Resources") -> str:
    items = "".join(f'<li class="item">{article}</li>' for article in articles)
    return (
        f'<html><body><div id="top"><article class="entry article hentry article-titre-1">Top</article></div>'
        f'<div id="content"><div class="liste articles"><h2>{heading}</h2>'
        f'<ul class="liste-items">{items}</ul></div></div></body></html>'
    )


def test_every_field_of_an_entry_is_read() -> None:
    listed = parse_list(page(ARTICLE), URL)
    (entry,) = listed.entries
    assert listed.total == 976
    assert entry.page_url == "http://site.example/spip.php?article8374"
    assert entry.title == "L’été & moi"
    assert entry.published == date(2023, 1, 5)
    assert (entry.cefr_level, entry.speaker_sex, entry.speaker_age) == ("B1", "male", "teenager")
    assert entry.licence == "https://creativecommons.org/licenses/by-nc-sa/3.0/fr/"
    assert entry.audio_url == "http://site.example/IMG/mp3/ete.mp3"


def test_the_speakers_name_and_town_are_not_kept() -> None:
    (entry,) = parse_list(page(ARTICLE), URL).entries
    assert entry.speaker == "auteur925"
    assert "Tristan" not in repr(entry)
    assert "Yvelines" not in repr(entry)


def test_an_entry_with_nothing_but_a_number_is_read() -> None:
    (entry,) = parse_list(page(BARE), URL).entries
    assert entry.page_url.endswith("spip.php?article7")
    assert entry.audio_url is entry.speaker is entry.licence is entry.cefr_level is None


def test_audio_is_found_in_a_player_without_a_download() -> None:
    player = BARE.replace("</h3>", '</h3><audio><source src="IMG/mp3/p.mp3" type="audio/mpeg"></audio>')
    assert parse_clip(page(player), URL).audio_url == "http://site.example/IMG/mp3/p.mp3"


def test_the_top_ten_box_is_not_part_of_the_list() -> None:
    assert [entry.page_url for entry in parse_list(page(BARE), URL).entries] == [
        urljoin(URL, "spip.php?article7")
    ]


@pytest.mark.parametrize(
    ("heading", "total"),
    [
        ("976 Resources", 976),
        ("976 ressources", 976),
        ("1 731 ressources", 1731),
        ("1\u202f731 ressources", 1731),
        ("1\u00a0731 Resources", 1731),
        ("1 ressource", 1),
        ("<span>12</span> <em>Resources</em>", 12),
    ],
)
def test_the_total_is_read_as_it_is_written(heading: str, total: int) -> None:
    assert parse_list(page(BARE, heading=heading), URL).total == total


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:audio/mpeg,x", "file:///etc/passwd", "http://[x", " "]
)
def test_what_is_no_http_address_is_no_audio(link: str) -> None:
    listed = parse_list(page(ARTICLE.replace("IMG/mp3/ete.mp3", link)), URL)
    assert listed.entries[0].audio_url is None


def test_a_file_without_a_name_is_a_file() -> None:
    listed = parse_list(page(ARTICLE.replace("ete.mp3", ".mp3")), URL)
    assert listed.entries[0].audio_url == "http://site.example/IMG/mp3/.mp3"


def test_repeated_titles_and_many_tags_are_all_right() -> None:
    many = "".join(
        f'<a class="label" href="spip.php?mot{tag}"><i class="icon-tag6"></i></a>' for tag in range(8, 20)
    )
    first = ARTICLE.replace('<p class="postmeta">', f'<p class="postmeta">{many}')
    second = ARTICLE.replace("8374", "8375")
    entries = parse_list(page(first, second), URL).entries
    assert entries[0].title == entries[1].title
    assert len({entry.page_url for entry in entries}) == 2


def test_the_interface_language_and_the_offset_do_not_change_a_clips_address() -> None:
    listed = parse_list(page(ARTICLE), "http://site.example/spip.php?rubrique1&lang=fr&debut_articles=975")
    assert listed.entries[0].page_url == "http://site.example/spip.php?article8374"


def test_an_absurd_number_is_a_changed_page() -> None:
    with pytest.raises(PageChanged, match="without a number"):
        parse_list(page(BARE.replace("article-titre-7", "article-titre-" + "9" * 5000)), URL)


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        ("<html><body>Under construction</body></html>", "shows no list of clips"),
        (page(heading="12 Resources"), "announces 12 clips and lists none"),
        (page('<article class="entry article hentry">no number</article>'), "without a number"),
        ("", "shows no list of clips"),
    ],
)
def test_a_changed_page_fails_with_what_is_missing(html: str, missing: str) -> None:
    with pytest.raises(PageChanged, match=missing):
        parse_list(html, URL)


def test_an_empty_list_is_not_a_changed_page() -> None:
    assert parse_list(page(heading="0 Resources"), URL).entries == []


def test_a_page_without_a_clip_fails() -> None:
    with pytest.raises(PageChanged, match="shows no clip"):
        parse_clip("<html></html>", URL)
