from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from lxml import etree
from parsel import Selector

from langaudio.demo import contents
from langaudio.demo.contents import Entry
from langaudio.demo.site import app, serve
from langaudio.errors import LangaudioError
from tests.demo.conftest import Browser, served

DC = "{http://purl.org/dc/elements/1.1/}"
FRENCH = "/spip.php?rubrique1&lang=en"


def page(browser: Browser, address: str) -> Selector:
    answer = browser.get(address)
    assert answer.status == 200, address
    return Selector(answer.text)


def articles(selector: Selector) -> list[int]:
    """The numbers of the clips that the list itself shows, in order."""
    items = selector.css("#content .liste.articles ul.liste-items > li.item > article.entry.article.hentry")
    return [int(number) for item in items for number in item.css(".entry-title").re(r"article-titre-(\d+)")]


@pytest.fixture(scope="module")
def french(site: Path) -> list[Entry]:
    return [entry for entry in contents.read(site) if entry.language == "fr"]


def test_the_home_page_links_every_language_with_the_section_as_first_parameter(browser: Browser) -> None:
    links = page(browser, "/").css("#content .languages a")
    assert dict(zip(links.css("::text").getall(), links.css("::attr(href)").getall(), strict=True)) == {
        "French": "spip.php?rubrique1&lang=en",
        "English": "spip.php?rubrique2&lang=en",
        "German": "spip.php?rubrique3&lang=en",
        "Spanish": "spip.php?rubrique4&lang=en",
        "Russian": "spip.php?rubrique7&lang=en",
        "Chinese": "spip.php?rubrique9&lang=en",
    }


def test_an_item_carries_everything_that_the_real_site_shows(browser: Browser, french: list[Entry]) -> None:
    item, entry = page(browser, FRENCH).css("#content li.item > article")[0], french[0]
    assert " ".join(item.css(".entry-title *::text").getall()).strip() == entry.title
    assert item.css(f".article-titre-{entry.article}")
    assert datetime.fromisoformat(item.css("p.publication time::attr(datetime)").get("")) == entry.date
    assert item.css(".author a.url::attr(href)").get() == f"spip.php?auteur{entry.auteur}"
    assert re.fullmatch(r".+ \(.+, .+\)", item.css(".author a.url::text").get(""))
    assert [
        (a.css("::attr(href)").get(), a.css("i::attr(class)").get()) for a in item.css(".postmeta a.label")
    ] == [
        (f"spip.php?mot{mot}&id_rubrique=1", f"icon-tag{group}")
        for mot, group in zip(entry.tags, (2, 3, 4, 5), strict=True)
    ]
    assert item.css("[class*=article-descriptif-] p::text").get() == entry.summary
    assert item.css("dd.spip_doc_descriptif::text").get() == f"{round(entry.bytes / 1024)} kb"
    assert item.css("div.download a::attr(href)").get() == f"IMG/mp3/{entry.mp3}"
    assert item.css('audio > source[type="audio/mpeg"]::attr(src)').get() == f"IMG/mp3/{entry.mp3}"
    assert "publicdomain/zero" in item.css("aside.options a[href*=creativecommons]::attr(href)").get("")


def test_a_list_announces_its_total_and_shows_five_of_the_newest_first(
    browser: Browser, french: list[Entry]
) -> None:
    first = page(browser, FRENCH)
    assert first.css("#content .liste.articles h2::text").get() == f"{len(french)} Resources"
    assert articles(first) == [entry.article for entry in french][:5]
    assert articles(first) == sorted(articles(first), reverse=True)


def test_the_interface_language_changes_the_words_and_not_the_clips(browser: Browser) -> None:
    english, default = page(browser, FRENCH), page(browser, "/spip.php?rubrique1")
    assert default.css("#content h2::text").get("").endswith(" ressources")
    assert articles(default) == articles(english)


def test_following_the_pagination_shows_every_clip_once(browser: Browser, french: list[Entry]) -> None:
    links = page(browser, FRENCH).css("#content .pagination a.lien_pagination::attr(href)").getall()
    assert links == [
        f"spip.php?rubrique1&lang=en&debut_articles={offset}#pagination_articles" for offset in (5, 10)
    ]
    seen = articles(page(browser, FRENCH))
    for link in links:
        seen += articles(page(browser, f"/{link}"))
    assert seen == [entry.article for entry in french]


@pytest.mark.parametrize("offset", [11, 12, 15, 500, 999_999_999])
def test_past_its_end_a_list_shows_its_last_page_again(browser: Browser, offset: int) -> None:
    last = articles(page(browser, f"{FRENCH}&debut_articles=10"))
    assert 0 < len(last) <= 5
    assert articles(page(browser, f"{FRENCH}&debut_articles={offset}")) == last


def test_offset_minus_one_is_everything(browser: Browser, french: list[Entry]) -> None:
    assert articles(page(browser, f"{FRENCH}&debut_articles=-1")) == [entry.article for entry in french]


@pytest.mark.parametrize("offset", ["", "x", "-7", "9" * 5000, "0x5", "5%20OR%201=1"])
def test_a_senseless_offset_is_the_first_page(browser: Browser, offset: str) -> None:
    assert articles(page(browser, f"{FRENCH}&debut_articles={offset}")) == articles(page(browser, FRENCH))


@pytest.mark.parametrize("address", ["/", FRENCH, "/spip.php?rubrique9"])
def test_the_top_ten_box_traps_who_does_not_look_inside_the_content(browser: Browser, address: str) -> None:
    selector = page(browser, address)
    outside = set(selector.css("article.hentry").getall()) - set(
        selector.css("#content article.hentry").getall()
    )
    assert len(outside) == 10
    assert not selector.css("#content").re("Top Ten")


def test_a_clip_has_a_page_of_its_own(browser: Browser, french: list[Entry]) -> None:
    entry = french[3]
    shown = page(browser, f"/spip.php?article{entry.article}").css("#content article.entry.article.hentry")
    assert len(shown) == 1
    assert shown.css("div.download a::attr(href)").get() == f"IMG/mp3/{entry.mp3}"


def test_a_speakers_page_lists_the_speakers_clips_only(browser: Browser, french: list[Entry]) -> None:
    own = [entry.article for entry in french if entry.auteur == french[0].auteur]
    assert articles(page(browser, f"/spip.php?auteur{french[0].auteur}&debut_articles=-1")) == own


def test_a_tags_page_lists_the_clips_of_one_section_with_the_tag(
    browser: Browser, french: list[Entry]
) -> None:
    women = [entry.article for entry in french if 17 in entry.tags]
    assert 0 < len(women) < len(french)
    assert articles(page(browser, "/spip.php?mot17&id_rubrique=1&debut_articles=-1")) == women


def test_the_feed_has_the_ten_newest_with_all_that_the_real_one_has(
    browser: Browser, french: list[Entry]
) -> None:
    answer = browser.get("/spip.php?page=backend&id_rubrique=1")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    items = etree.fromstring(answer.content).findall("channel/item")
    assert len(items) == 10
    for item, entry in zip(items, french, strict=False):
        assert item.findtext("title") == entry.title
        assert item.findtext("link") == f"http://127.0.0.1:{browser.port}/spip.php?article{entry.article}"
        assert item.findtext("guid") == item.findtext("link")
        assert datetime.fromisoformat(item.findtext(f"{DC}date") or "") == entry.date
        assert item.findtext(f"{DC}creator") == entry.speaker
        assert len(item.findall(f"{DC}subject")) == len(entry.tags)
        assert item.findtext("description") == entry.summary
        if entry.mp3 is not None:
            assert dict(item.find("enclosure").attrib) == {
                "url": f"http://127.0.0.1:{browser.port}/IMG/mp3/{entry.mp3}",
                "length": str(entry.bytes),
                "type": "audio/mpeg",
            }


def test_robots_may_crawl_and_train(browser: Browser) -> None:
    lines = browser.get("/robots.txt").text.splitlines()
    assert lines == ["User-agent: *", "Content-Signal: search=yes, ai-train=yes", "Allow: /"]


def test_an_mp3_is_served_as_it_is_and_not_again_to_who_has_it(
    browser: Browser, site: Path, french: list[Entry]
) -> None:
    answer = browser.get(f"/IMG/mp3/{french[0].mp3}")
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.content == (site / "IMG/mp3" / str(french[0].mp3)).read_bytes()
    again = browser.get(f"/IMG/mp3/{french[0].mp3}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status == 304


def test_the_bad_entries_are_as_bad_on_the_pages(browser: Browser, site: Path) -> None:
    bad = {entry.defect: entry for entry in contents.read(site) if entry.defect}
    missing = bad["missing_file"]
    link = page(browser, f"/spip.php?article{missing.article}").css("div.download a::attr(href)").get()
    assert browser.get(f"/{link}").status == 404
    silent_page = page(browser, f"/spip.php?article{bad['no_audio'].article}").css("#content")
    assert silent_page.css(".entry-title")
    assert not silent_page.css("audio, .download, .spip_doc_descriptif, a[href*=mp3]")


@pytest.mark.parametrize(
    "address",
    [
        "/spip.php?rubrique5",
        "/spip.php?lang=en&rubrique1",
        "/spip.php?article999999",
        "/spip.php?auteur0",
        "/spip.php?mot99",
        "/spip.php?page=login",
        "/spip.php?page=backend",
        "/spip.php?page=backend&id_rubrique=x",
        "/spip.php?rubrique" + "9" * 5000,
        "/IMG/mp3/none.mp3",
        "/IMG/mp3/",
        "/IMG/",
        "/site.json",
        "/ecrire",
    ],
)
def test_everything_else_is_not_found(browser: Browser, address: str) -> None:
    assert browser.get(address).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/IMG/mp3/../../site.json",
        "/IMG/mp3/../../../../../../../../etc/passwd",
        "/IMG/mp3//etc/passwd",
        "/IMG/mp3/..%2f..%2fsite.json",
        "/IMG/mp3/%2e%2e/%2e%2e/site.json",
        "/IMG/mp3/..%5c..%5csite.json",
        "/IMG/mp3/x/../../../site.json",
    ],
)
def test_no_path_leads_out_of_the_folder_of_mp3s(browser: Browser, path: str) -> None:
    assert browser.get(path).status == 404


def test_hostile_text_in_an_entry_stays_text(tmp_path: Path, french: list[Entry]) -> None:
    hostile = '<script>alert("1")</script> & l\'été ]]>'
    entry = dataclasses.replace(french[0], title=hostile, summary=hostile, speaker=hostile, licence=hostile)
    (tmp_path / "IMG/mp3").mkdir(parents=True)
    rows: dict[str, Any] = {"made_with": {}, "entries": [dataclasses.asdict(entry)]}
    (tmp_path / "site.json").write_text(json.dumps(rows))
    with served(tmp_path) as browser:
        selector = page(browser, FRENCH)
        feed = etree.fromstring(browser.get("/spip.php?page=backend&id_rubrique=1").content)
    assert not selector.css("script")
    assert selector.css("#content .entry-title a::text").get() == hostile
    assert selector.css("#content .author a::text").get() == hostile
    assert feed.findtext("channel/item/title") == hostile


def test_a_folder_that_was_not_built_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LangaudioError, match="not a complete demo site"):
        app(tmp_path)


def test_the_site_is_served_on_the_loopback_interface_only(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: called.update(options))
    serve(site, 8123)
    assert (called["host"], called["port"]) == ("127.0.0.1", 8123)
