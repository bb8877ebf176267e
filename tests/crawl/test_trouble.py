"""Crawls of a site that misbehaves: what is lost is told, what is not lost goes on, and nothing hangs."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from langaudio.crawl.policy import Refused
from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings
from langaudio.store import Store
from tests.crawl import library as site
from tests.crawl.library import Clip, Library, numbered

FILE = "/IMG/mp3/7.mp3"
LIST = "/spip.php?rubrique1&lang=fr&debut_articles=0"

CRAWL_AND_TELL_MEMORY = """
import resource
from langaudio.crawl.stage import crawl
from langaudio.errors import LangaudioError
from langaudio.store import default_store
try:
    crawl(default_store(), "fr", source="demo", run="one")
except LangaudioError:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""

A_TICK_S = 0.1
"""By so much a request may be noted late, where it arrives or where it begins to wait."""

Set = Callable[..., None]


@pytest.fixture
def let(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Return a function that changes settings."""

    def change(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"LANGAUDIO_{name.upper()}", str(value))
        settings.cache_clear()

    return change


def crawled(store: Store, run: str = "one") -> dict[str, Any]:
    return crawl(store, "fr", source="demo", run=run)


def problems(store: Store, run: str = "one") -> dict[str, str]:
    clips = Staging(store, "demo", run, "fr").clips()
    return {clip.page_url.rpartition("article")[2]: clip.problem for clip in clips if clip.problem}


BAD_FILES: dict[str, dict[int, tuple[site.Answer, str]]] = {
    "slow and cut off": {
        1: (site.stalled, "does not answer"),
        3: (site.dripping, "does not answer"),
        5: (site.cut(announced=100_000, sent=1_000), "does not answer"),
        7: (site.status(503), "answers 503"),
    },
    "refused and wrong": {
        1: (site.endless, "larger than"),
        3: (site.status(404), "answers 404"),
        5: (site.status(403), "answers 403"),
        7: (site.redirect(FILE), "redirect"),  # to itself
        9: (site.status(500), "answers 500"),
        11: (site.body(b"<html>maintenance</html>", "text/html"), "a page instead of a file"),
        13: (site.redirect("http://example.org/7.mp3"), "outside the source's own hosts"),
        15: (site.redirect("http://169.254.169.254/latest/meta-data"), "outside the source's own hosts"),
        17: (site.redirect("http://10.0.0.1/7.mp3"), "outside the source's own hosts"),
        19: (site.redirect("file:///etc/passwd"), "answers 302"),  # and is not followed
    },
}
"""Numbers of clips → what is sent in the place of their files, and what is said of it.

In two crawls, and with a good file between two bad ones: a site whose files fail five times in a row is taken
to be away, and those that are tried again come one after the other at the end.
"""


@pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_one_clip_less_with_its_reason(
    store: Store, library: Library, let: Set, bad: dict[int, tuple[site.Answer, str]]
) -> None:
    let(max_download_s=1, max_clip_mib=1)
    library.clips["fr"] = numbered(range(1, 21))
    library.answers |= {f"/IMG/mp3/{number}.mp3": answer for number, (answer, _) in bad.items()}
    stats = crawled(store)
    assert stats["seen"] == 20
    assert {int(number) for number in problems(store)} == set(bad)
    refused = [clip for clip in Staging(store, "demo", "one", "fr").clips() if clip.problem]
    for clip in refused:
        assert bad[int(clip.page_url.rpartition("article")[2])][1] in str(clip.problem_detail)
    assert stats["refused"] == Counter(clip.problem for clip in refused)


def test_a_file_that_comes_at_the_second_try_is_no_problem(store: Store, library: Library) -> None:
    library.answers[FILE] = site.times(2, site.status(502), site.body(b"the recording" * 50))
    assert crawled(store)["refused"] == {}


def test_a_site_that_is_away_for_files_is_unavailable_not_a_heap_of_bad_clips(
    store: Store, library: Library
) -> None:
    for clip in library.clips["fr"]:
        library.answers[clip.path] = site.status(503)
    with pytest.raises(Unavailable, match="cannot serve us now"):
        crawled(store)
    assert not Staging(store, "demo", "one", "fr").complete()


def test_a_site_that_forbids_all_its_files_does_not_want_us(store: Store, library: Library) -> None:
    for clip in library.clips["fr"]:
        library.answers[clip.path] = site.status(403)
    with pytest.raises(Refused, match=r"mp3 answers 403: the site does not want us") as refused:
        crawled(store)
    assert refused.value.reason == "forbidden"
    assert len(library.audio_asked()) == 5


@pytest.mark.parametrize("code", [429, 503])
def test_a_wait_that_the_site_asks_for_is_waited_out(store: Store, library: Library, code: int) -> None:
    library.answers[FILE] = site.times(1, site.status(code, Retry_After="1"), site.body(b"audio" * 99))
    stats = crawled(store)
    assert stats["refused"] == {}
    first, second = (number for number, address in enumerate(library.asked) if address == FILE)
    assert library.times[second] - library.times[first] >= 1 - A_TICK_S
    assert second == first + 1  # nothing else was asked meanwhile
    assert stats["waited_s"] > 1 - A_TICK_S


def test_a_wait_beyond_the_limit_is_left_for_later(store: Store, library: Library, let: Set) -> None:
    let(max_wait_s=5)
    library.answers[LIST] = site.status(503, Retry_After="3600")
    with pytest.raises(LangaudioError, match=r"asks us to wait 3600 s.*try later") as postponed:
        crawled(store)
    assert postponed.type is not Unavailable  # which would be tried again in a moment


def test_a_file_that_is_to_be_waited_for_beyond_the_limit_ends_the_crawl(
    store: Store, library: Library, let: Set
) -> None:
    let(max_wait_s=5)
    library.answers[FILE] = site.status(429, Retry_After="3600")
    with pytest.raises(LangaudioError, match="asks us to wait 3600 s"):
        crawled(store)
    assert library.asked[-1] == FILE


def test_a_site_that_always_asks_to_wait_ends(store: Store, library: Library, let: Set) -> None:
    let(max_wait_s=2)
    library.answers[LIST] = site.status(429, Retry_After="0")
    with pytest.raises(LangaudioError, match="try later"):
        crawled(store)
    assert library.asked.count(LIST) == 3


@pytest.mark.parametrize(
    ("robots", "reason", "sentence"),
    [
        ("User-agent: *\nDisallow: /spip.php\n", "robots", 'line 2, "Disallow: /spip.php"'),
        ("User-agent: langaudio\nDisallow: /\n", "robots", "line 2"),
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n", "ai_train", "line 2"),
        ("User-agent: *\nCrawl-delay: 86400\n", "crawl_delay", "asks for 86400 s"),
    ],
)
def test_a_refusal_names_its_line_and_asks_for_nothing_more(
    store: Store, library: Library, robots: str, reason: str, sentence: str
) -> None:
    library.robots = robots
    with pytest.raises(Refused, match=sentence) as refused:
        crawled(store)
    assert refused.value.reason == reason
    assert "/robots.txt" in str(refused.value)
    assert library.asked == ["/robots.txt"]


@pytest.mark.parametrize(("code", "reason"), [(401, "forbidden"), (403, "forbidden"), (500, "unreadable")])
def test_rules_that_we_may_not_read_are_a_refusal(
    store: Store, library: Library, code: int, reason: str
) -> None:
    library.answers["/robots.txt"] = site.status(code)
    with pytest.raises(Refused) as refused:
        crawled(store)
    assert refused.value.reason == reason
    assert set(library.asked) == {"/robots.txt"}


def test_rules_that_do_not_come_are_a_refusal(store: Store, library: Library, let: Set) -> None:
    let(max_download_s=1)
    library.answers["/robots.txt"] = site.stalled
    with pytest.raises(Refused, match="cannot be read"):
        crawled(store)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (site.redirect("http://example.org/robots.txt"), r"example\.org/robots\.txt lies outside"),
        (site.redirect("http://10.0.0.1/robots.txt"), r"10\.0\.0\.1/robots\.txt lies outside"),
        (site.redirect("/robots.txt"), "max redirections reached"),
        (site.status(304), "answers 304"),
        (site.body(b"#" * (2 * 2**20), "text/plain"), "rules that cannot be read count as a refusal"),
        (site.endless, "rules that cannot be read count as a refusal"),
        (site.gzip_bomb, "rules that cannot be read count as a refusal"),
    ],
    ids=["off-site", "private", "a loop", "nothing", "too large", "a gigabyte", "gzip bomb"],
)
def test_rules_that_lead_nowhere_are_a_refusal(
    store: Store, library: Library, answer: site.Answer, sentence: str
) -> None:
    library.answers["/robots.txt"] = answer
    with pytest.raises(Refused, match=sentence) as refused:
        crawled(store)
    assert refused.value.reason == "unreadable"
    assert set(library.asked) == {"/robots.txt"}


def test_rules_are_followed_to_where_the_site_keeps_them(store: Store, library: Library) -> None:
    library.answers["/robots.txt"] = site.redirect("/rules")
    library.answers["/rules"] = site.body(b"\xef\xbb\xbfUser-agent: *\nDisallow: /spip.php", "text/plain")
    with pytest.raises(Refused, match=r'robots\.txt, line 2, "Disallow: /spip\.php"'):
        crawled(store)
    assert library.asked == ["/robots.txt", "/rules"]


def test_a_list_that_shuts_us_out_is_a_refusal(store: Store, library: Library) -> None:
    library.answers[LIST] = site.status(403)
    with pytest.raises(Refused, match="answers 403"):
        crawled(store)


def test_consent_lifts_the_training_refusal_and_is_kept_with_every_clip(
    store: Store, library: Library, let: Set
) -> None:
    library.robots = "User-agent: *\nContent-Signal: ai-train=no\n"
    let(consent=json.dumps({"demo": "Letter of 2026-10-01, file 17"}))
    crawled(store)
    clips = Staging(store, "demo", "one", "fr").clips()
    assert {clip.permission for clip in clips} == {"Letter of 2026-10-01, file 17"}


def test_consent_lifts_nothing_else(store: Store, library: Library, let: Set) -> None:
    let(consent=json.dumps({"demo": "Letter"}))
    library.robots = "User-agent: *\nContent-Signal: ai-train=no\nDisallow: /spip.php\n"
    with pytest.raises(Refused, match="Disallow"):
        crawled(store)


def test_files_that_the_rules_keep_from_us_are_counted_not_fetched(store: Store, library: Library) -> None:
    library.robots = "User-agent: *\nDisallow: /IMG/mp3/7.mp3\n"
    stats = crawled(store)
    assert stats["refused"] == {"robots": 1}
    assert stats["new"] == 11
    assert FILE not in library.asked


def test_rules_that_keep_all_files_from_us_refuse_the_crawl(store: Store, library: Library) -> None:
    library.robots = "User-agent: *\nDisallow: /IMG/\n"
    with pytest.raises(Refused, match="Disallow: /IMG/"):
        crawled(store)


def test_a_crawl_delay_is_obeyed(store: Store, library: Library) -> None:
    library.robots = "User-agent: *\nCrawl-delay: 0.3\n"
    library.clips["fr"] = library.clips["fr"][:3]
    stats = crawled(store)
    gaps = [later - sooner for sooner, later in itertools.pairwise(library.times)]
    assert min(gaps) > 0.3 - A_TICK_S
    assert sum(gaps) > 0.3 * len(gaps) - A_TICK_S
    assert stats["waited_s"] > 0.3 * (len(gaps) - 1) - A_TICK_S


def test_a_page_that_no_design_has_is_kept_and_fails_the_crawl(store: Store, library: Library) -> None:
    library.answers[LIST] = site.body(b"<html><body>A third design</body></html>", "text/html")
    with pytest.raises(LangaudioError, match=r"kept as (staging/\S+\.html)") as failed:
        crawled(store)
    key = str(failed.value).rpartition("kept as ")[2].rstrip(".")
    assert b"A third design" in store.get(key)


@pytest.mark.parametrize(
    "answer",
    [
        site.gzip_bomb,
        site.endless,
        site.body("<div id='content'>é</div>".encode("latin-1"), "text/html; charset=utf-8"),
        site.body(b"\x00\xff" * 1000, "text/html"),
        site.body(b"<div>" * 100_000, "text/html"),
        site.body(b"\x89PNG", "image/png"),
    ],
    ids=["gzip bomb", "a gigabyte", "not UTF-8", "bytes", "nested", "an image"],
)
def test_a_hostile_list_fails_the_crawl_with_a_sentence(
    store: Store, library: Library, answer: site.Answer
) -> None:
    library.answers[LIST] = answer
    command = [sys.executable, "-c", CRAWL_AND_TELL_MEMORY]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert 50 < int(result.stdout) < 400


def test_a_list_that_has_no_end_comes_to_one(
    store: Store, library: Library, let: Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count(1)

    def more(request: Any) -> Any:
        clips = [Clip(next(numbers), b"audio") for _ in range(5)]
        text = site._new_page(clips, 1, clips[-1].number).replace(
            "http://HOST", str(request.base_url).rstrip("/")
        )
        return site.body(text.encode(), "text/html")(request)

    library.answers["/spip.php"] = more
    library.answers["/IMG"] = site.body(b"audio")
    # With fewer pages than the real limit, so that the end is soon.
    (tmp_path / "soon.py").write_text(
        "from langaudio.crawl.sources import Source\n"
        "from langaudio.crawl.spiders import audio_lingua\n"
        "audio_lingua._MOST_PAGES = 4\n"
        "class Spider(audio_lingua.AudioLinguaSpider): pass\n"
        "SOON = Source('soon', 'Soon', spider='soon.Spider', sections={'fr': '1'})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    let(sources='["soon.SOON"]', source_roots=json.dumps({"soon": [settings().demo_url + "/"]}))
    with pytest.raises(LangaudioError, match="The list has no end: 4 pages were read"):
        crawl(store, "fr", source="soon", run="one")
    assert sum("debut_articles" in address for address in library.asked) == 4


def test_more_than_is_announced_is_walked_to_what_is_announced(store: Store, library: Library) -> None:
    library.announced = 8
    assert crawled(store)["seen"] == 10


@pytest.mark.parametrize("answer", [404, 410])
def test_a_clip_whose_page_has_vanished_is_kept_without_its_file(
    store: Store, library: Library, answer: int
) -> None:
    library.clips["fr"][5].audio = None
    library.answers["/spip.php?article7"] = site.status(answer)
    assert crawled(store)["seen"] == 12
    assert problems(store) == {"7": "no_audio"}


def test_a_list_whose_entries_link_no_files_is_another_page(store: Store, library: Library) -> None:
    for clip in library.clips["fr"][:7]:
        clip.audio = None
    with pytest.raises(LangaudioError, match="7 of 12 entries link no file"):
        crawled(store)


def test_entries_of_the_new_design_without_page_and_file_are_kept_by_their_titles(
    store: Store, library: Library
) -> None:
    library.new_design = True
    page = library._list(library.clips["fr"], 0).replace("http://HOST", "http://x")
    for number in (12, 11):
        page = page.replace(f"spip.php?article{number}", "#").replace(
            f"Fichier : http://x/IMG/mp3/{number}.mp3", ""
        )
    page = page.replace("http://x", settings().demo_url)
    library.answers[LIST] = site.body(page.encode(), "text/html")
    stats = crawled(store)
    assert (stats["seen"], stats["refused"]) == (12, {"no_audio": 2})
    assert library.asked.count("/spip.php?rubrique1") == 0


@pytest.mark.parametrize(
    ("charset", "encoding", "title"),
    [
        ("", "utf-8", "été"),
        ("; charset=iso-8859-1", "latin-1", "été"),
        ("; charset=utf-8", "latin-1", "\ufffdt\ufffd"),
        ("; charset=punycode", "utf-8", "été"),
        ("; charset=zlib", "utf-8", "été"),
    ],
)
def test_a_page_in_another_character_set_is_read_all_the_same(
    store: Store, library: Library, charset: str, encoding: str, title: str
) -> None:
    library.clips["fr"] = [Clip(1, b"audio", "été")]
    page = library._list(library.clips["fr"], 0).replace('<meta charset="utf-8">', "")
    library.answers[LIST] = site.body(page.encode(encoding), f"text/html{charset}")
    crawled(store)
    assert [clip.title for clip in Staging(store, "demo", "one", "fr").clips()] == [title]


def test_an_entry_that_is_listed_twice_is_one(store: Store, library: Library) -> None:
    library.clips["fr"].insert(6, library.clips["fr"][1])
    library.announced = 12
    stats = crawled(store)
    assert stats["seen"] == 12
    assert len(library.audio_asked()) == len(set(library.audio_asked()))


def test_a_file_on_a_host_of_others_is_quarantined_as_such(store: Store, library: Library) -> None:
    library.answers[FILE] = site.redirect("http://example.org/7.mp3")
    crawled(store)
    assert problems(store) == {"7": "off_site"}


def test_a_list_that_leads_off_the_site_fails(store: Store, library: Library) -> None:
    library.answers[LIST] = site.redirect("http://example.org/")
    with pytest.raises(LangaudioError, match=r"example\.org/ lies outside the source's own hosts"):
        crawled(store)


def test_a_bucket_that_goes_away_ends_the_crawl_in_a_sentence(
    store: Store, library: Library, let: Set
) -> None:
    def bucket_goes(request: Any) -> Any:
        # Files that are on their way keep a bucket from being deleted, and are in no listing.
        there = True
        while there:
            for item in list(store.list("")):
                store.delete(item.key)
            with suppress(botocore.exceptions.ClientError):
                store._client.delete_bucket(Bucket=store.bucket)
                there = False
        return site.body(b"audio" * 99)(request)

    library.answers[FILE] = bucket_goes
    with pytest.raises(LangaudioError, match="There is no bucket"):
        crawled(store)
