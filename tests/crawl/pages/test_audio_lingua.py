"""The parser on hand-made pages of the old design."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest

from langaudio.crawl.pages.audio_lingua import PageChanged, parse_clip, parse_list

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
    assert entry.page_url.endswith("spip.php?article8374")
    assert entry.page_url == "http://site.example/spip.php?article8374"
    assert entry.title == "L’été & moi"
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


def test_a_french_heading_announces_the_total() -> None:
    assert parse_list(page(BARE, heading="976 ressources"), URL).total == 976


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        ("<html><body>Under construction</body></html>", "announces no number"),
        (page(heading="12 Resources"), "announces 12 clips and lists none"),
        (page('<article class="entry article hentry">no number</article>'), "without a number"),
        ("", "announces no number"),
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
