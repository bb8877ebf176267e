"""Crawls of a site that misbehaves: what is lost is told, what is not lost goes on, and nothing hangs."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
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
from tests.crawl.library import Clip, Library

FILE = "/IMG/mp3/7.mp3"
LIST = "/spip.php?rubrique1&lang=en&debut_articles=0"

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


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (site.stalled, "does not answer"),
        (site.dripping, "does not answer"),
        (site.endless, "larger than"),
        (site.cut(announced=100_000, sent=1_000), "does not answer"),
        (site.status(404), "answers 404"),
        (site.status(500), "answers 500"),
        (site.status(503), "answers 503"),
        (site.body(b"<html>maintenance</html>", "text/html"), "a page instead of a file"),
        (site.redirect(FILE), "redirect"),
        (site.redirect("http://example.org/7.mp3"), "outside the source's own hosts"),
        (site.redirect("http://169.254.169.254/latest/meta-data"), "outside the source's own hosts"),
        (site.redirect("http://10.0.0.1/7.mp3"), "outside the source's own hosts"),
        (site.redirect("file:///etc/passwd"), ""),
    ],
    ids=[
        *("stalled", "dripping", "a gigabyte", "cut off", "404", "500", "503", "HTML", "a loop"),
        *("elsewhere", "link-local", "private", "a file"),
    ],
)
def test_a_bad_file_is_one_clip_less_with_its_reason(
    store: Store, library: Library, let: Set, answer: site.Answer, detail: str
) -> None:
    let(max_download_s=1, max_clip_mib=1)
    library.answers[FILE] = answer
    stats = crawled(store)
    assert stats["seen"] == 12
    assert list(problems(store)) == ["7"]
    (bad,) = [clip for clip in Staging(store, "demo", "one", "fr").clips() if clip.problem]
    assert detail in str(bad.problem_detail)
    assert stats["refused"] == {str(bad.problem): 1}


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


@pytest.mark.parametrize("code", [429, 503])
def test_a_wait_that_the_site_asks_for_is_waited_out(store: Store, library: Library, code: int) -> None:
    library.answers[FILE] = site.times(1, site.status(code, Retry_After="1"), site.body(b"audio" * 99))
    stats = crawled(store)
    assert stats["refused"] == {}
    first, second = (number for number, address in enumerate(library.asked) if address == FILE)
    assert library.times[second] - library.times[first] >= 1
    # Nothing else was asked meanwhile.
    assert all(
        later - sooner >= 1 or first not in (number, number - 1)
        for number, (sooner, later) in enumerate(itertools.pairwise(library.times))
        if number == first
    )
    assert stats["waited_s"] >= 1


def test_a_wait_beyond_the_limit_is_left_for_later(store: Store, library: Library, let: Set) -> None:
    let(max_wait_s=5)
    library.answers[LIST] = site.status(503, Retry_After="3600")
    with pytest.raises(Unavailable, match=r"asks us to wait 3600 s.*try later"):
        crawled(store)


def test_a_site_that_always_asks_to_wait_ends(store: Store, library: Library, let: Set) -> None:
    let(max_wait_s=2)
    library.answers[LIST] = site.status(429, Retry_After="0")
    with pytest.raises(Unavailable, match="try later"):
        crawled(store)


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
    assert min(gaps) > 0.29
    assert stats["waited_s"] > 0.29 * (len(gaps) - 1)


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


def test_a_list_that_has_no_end_comes_to_one(store: Store, library: Library) -> None:
    numbers = itertools.count(1)

    def more(_: object) -> Any:
        clips = [Clip(next(numbers), None) for _ in range(5)]
        library.clips["fr"] = clips
        return site.body(library._list(clips, 0).replace("<h2>5 ", "<h2>23 ").encode(), "text/html")(_)  # type: ignore[arg-type]

    library.answers["/spip.php"] = lambda request: (
        more(request) if "rubrique1" in request.url.query else site.status(404)(request)
    )
    with pytest.raises(LangaudioError):
        crawled(store)
    assert sum("debut_articles" in address for address in library.asked) <= 5


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
        # Files that are on their way keep a bucket from being deleted.
        while any(store.folders("")):
            for item in list(store.list("")):
                store.delete(item.key)
            with suppress(botocore.exceptions.ClientError):
                store._client.delete_bucket(Bucket=store.bucket)
        return site.body(b"audio" * 99)(request)

    library.answers[FILE] = bucket_goes
    with pytest.raises(LangaudioError, match="There is no bucket"):
        crawled(store)
