"""The parser on hand-made pages of the new design."""

from __future__ import annotations

from datetime import date

import pytest

from langaudio.crawl.pages import PageChanged
from langaudio.crawl.pages.audio_lingua import parse_clip, parse_list

URL = "https://site.example/spip.php?rubrique1&lang=fr"

ITEM = """
<div class="fr-alert fr-alert--info mp3">
 <h3 class="fr-alert__title"><a href="spip.php?article9012">Un été &amp; moi</a></h3>
 <p class="fr-text--sm"><span class="fr-icon-calendar-event-fill"> jeudi 3 octobre 2024</span>
  <span class="fr-icon-account-circle-fill"> Tristan (Yvelines, France)</span></p>
 <div class="fr-pt-2w"><a href="spip.php?mot12"><i class="icon-tag2"></i> B1</a>
  <a href="spip.php?mot17&amp;id_rubrique=1"><i class="icon-tag3"></i> Voix de femme</a>
  <a href="#"><i class="icon-tag4"></i> Adolescent</a></div>
 <figure class="fr-quote"><blockquote><p>Il raconte.</p></blockquote></figure>
 <section><p class="fr-text--sm fr-mt-2w">Adresse du fichier :
  https://site.example/IMG/mp3/ete.mp3 </p></section>
</div>"""

BARE = '<div class="fr-alert fr-alert--info mp3"><h3 class="fr-alert__title">Seul</h3></div>'
NEXT = "<a aria-label='Aller à la page suivante' href='spip.php?rubrique1&amp;debut_articles=10'>Suivante</a>"
LICENCE = '<a href="https://creativecommons.org/licenses/by-nc-sa/3.0/">CC</a>'


def page(*items: str, rest: str = "") -> str:
    notice = '<div class="fr-alert fr-alert--info">Bienvenue</div>'
    return f'<html><body class="fr"><main>{notice}{"".join(items)}{rest}</main></body></html>'


def test_every_field_of_an_entry_is_read() -> None:
    listed = parse_list(page(ITEM, rest=NEXT + LICENCE), URL)
    (entry,) = listed.entries
    assert listed.total is None
    assert listed.next_url == "https://site.example/spip.php?rubrique1&debut_articles=10"
    assert entry.page_url == "https://site.example/spip.php?article9012"
    assert entry.title == "Un été & moi"
    assert entry.published == date(2024, 10, 3)
    assert entry.audio_url == "https://site.example/IMG/mp3/ete.mp3"
    assert (entry.cefr_level, entry.speaker_sex, entry.speaker_age) == ("B1", "female", "teenager")
    assert entry.speaker == "Tristan (Yvelines, France)"  # hashed as soon as it is a clip
    assert entry.licence == "https://creativecommons.org/licenses/by-nc-sa/3.0/"


def test_a_title_is_the_headings_own_text() -> None:
    badge = ITEM.replace(
        '<a href="spip.php?article9012">Un été &amp; moi</a>',
        '\n Un été &amp; moi <b class="fr-badge">Nouveau</b> <a href="spip.php?article9012">Écouter</a>',
    )
    (entry,) = parse_list(page(badge), URL).entries
    assert (entry.title, entry.page_url[-4:]) == ("Un été & moi", "9012")


def test_music_without_a_speaker_is_an_entry_like_others() -> None:
    music = ITEM.replace("Tristan (Yvelines, France)", "").replace(
        "</div>", '<a href="spip.php?mot77"><i class="icon-tag6"></i> musique</a></div>', 1
    )
    (entry,) = parse_list(page(music), URL).entries
    assert (entry.speaker, entry.cefr_level) == (None, "B1")
    assert entry.audio_url is not None


@pytest.mark.parametrize(
    "found_by", ["aria-label='Aller à la page suivante'", "class='x fr-pagination__link--next'"]
)
def test_the_link_to_the_next_page_is_found_by_its_label_or_by_the_design(found_by: str) -> None:
    link = f"<a {found_by} href='spip.php?rubrique1&amp;debut_articles=10'>2</a>"
    found = parse_list(page(ITEM, rest=link), URL).next_url
    assert found == "https://site.example/spip.php?rubrique1&debut_articles=10"


def test_a_link_to_the_speaker_is_better_than_a_name() -> None:
    linked = ITEM.replace("Tristan (Yvelines, France)", '<a href="spip.php?auteur925">Tristan</a>')
    assert parse_list(page(linked), URL).entries[0].speaker == "auteur925"


def test_the_last_page_links_no_next_one() -> None:
    assert parse_list(page(ITEM), URL).next_url is None


def test_a_total_that_is_announced_is_read() -> None:
    assert parse_list(page(ITEM, rest="<h2>976 ressources</h2>"), URL).total == 976


def test_a_clip_without_a_page_is_known_by_its_file() -> None:
    (entry,) = parse_list(page(ITEM.replace("spip.php?article9012", "#")), URL).entries
    assert entry.page_url == entry.audio_url == "https://site.example/IMG/mp3/ete.mp3"


def test_a_clip_with_nothing_but_a_title_is_known_by_that() -> None:
    (entry,) = parse_list(page(BARE), URL + "&debut_articles=5").entries
    assert entry.page_url == "https://site.example/spip.php?rubrique1#seul"
    assert (entry.audio_url, entry.speaker, entry.published, entry.licence) == (None, None, None, None)


def test_two_licences_on_a_page_are_nobodys_unless_they_stand_with_a_clip() -> None:
    other = '<a href="https://creativecommons.org/licenses/by/4.0/">CC</a>'
    first, second = parse_list(
        page(ITEM.replace("</section>", f"{other}</section>"), BARE, rest=LICENCE), URL
    ).entries
    assert first.licence == "https://creativecommons.org/licenses/by/4.0/"
    assert second.licence is None


def test_the_page_of_one_clip_is_read() -> None:
    assert parse_clip(page(ITEM), URL).title == "Un été & moi"


def test_a_list_without_clips_is_a_changed_page_never_an_empty_list() -> None:
    with pytest.raises(PageChanged, match=r"has neither .*articles.* nor .*mp3"):
        parse_list(page(), URL)


def test_a_box_with_nothing_in_it_is_a_changed_page() -> None:
    with pytest.raises(PageChanged, match="neither title nor file"):
        parse_list(page('<div class="fr-alert fr-alert--info mp3"></div>'), URL)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "ftp://x/y.mp3", "https://[x/y.mp3", "IMG/mp3/x.mp3"]
)
def test_what_is_no_http_address_is_no_audio(address: str) -> None:
    changed = ITEM.replace("https://site.example/IMG/mp3/ete.mp3", address)
    assert parse_list(page(changed), URL).entries[0].audio_url is None
