"""What a robots.txt says to us, and which line of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langaudio.crawl.policy import Refused, Rules, rules_of

URL = "https://audio.example/robots.txt"
PAGE = "https://audio.example/spip.php?rubrique1"


def refusal(text: str, address: str = PAGE, consent: str | None = None) -> Refused | None:
    return Rules.parse(text, URL).refusal(address, consent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "User-agent: *\nDisallow:\n",
        "User-agent: *\nAllow: /\n",
        "User-agent: GPTBot\nDisallow: /\n",
        "User-agent: *\nDisallow: /private\n",
        "User-agent: *\nDisallow: /\nAllow: /spip.php\n",
        "User-agent: *\nDisallow: /\n\nUser-agent: langaudio\nAllow: /\n",
        "User-agent: langaudio\nDisallow:\n\nUser-agent: *\nDisallow: /\n",
        "User-agent: *\nDisallow: /*.mp3$\n",
        "User-agent: langaudiobot\nDisallow: /\n",
        "User-agent: *\nContent-Signal: search=yes, ai-train=yes\n",
        "User-agent: *\nContent-Signal: ai-input=no, search=no, use=reference\n",
        "User-agent: *\nContent-Signal: /private ai-train=no\n",
        "User-agent: GPTBot\nContent-Signal: ai-train=no\n",
        "User-agent: *\nContent-Usage: train-ai=y\n",
        "User-agent: *\nContent-Usage: ai-train=no\nContent-Signal: train-ai=n\n",
        "User-agent: *\nContent-Signal: ai-train=no\n\nUser-agent: langaudio\nAllow: /\n",
        "Disallow: /\n",
        "<html><body>Not found</body></html>",
    ],
)
def test_what_does_not_concern_us_does_not_refuse_us(text: str) -> None:
    assert refusal(text) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("User-agent: *\nDisallow: /\n", 2),
        ("\ufeffUser-agent: *\r\nDisallow: /spip.php # all of it\r\n", 2),
        ("user-AGENT:langaudio\nDISALLOW:/spip\n", 2),
        ("User-agent: LangAudio/1.0\nDisallow: /\n", 2),
        ("User-agent: GPTBot\nUser-agent: langaudio\nUser-agent: CCBot\nDisallow: /\n", 4),
        ("User-agent: langaudio\nDisallow: /a\n\nUser-agent: x\n\nUser-agent: langaudio\nDisallow: /\n", 7),
        ("User-agent: *\nSitemap: https://x/\nDisallow: /\n", 3),
        ("User-agent: *\nDisallow: /s\nDisallow: /spip\nAllow: /sp\n", 3),
        ("User-agent: *\nDisallow: /*rubrique\n", 2),
    ],
)
def test_a_disallow_refuses_and_names_its_line(text: str, line: int) -> None:
    found = rules_of(200, text.encode(), URL).refusal(PAGE)
    assert found is not None
    assert found.reason == "robots"
    assert f"{URL}, line {line}, " in str(found)
    assert PAGE in str(found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no, use=reference\nAllow: /\n", 2),
        ("User-Agent: *\ncontent-signal:AI-TRAIN = No\n", 2),
        ("User-agent: *\nContent-Signal: ai-train=yes\nContent-Signal: ai-train=no\n", 3),
        ("Content-Signal: ai-train=no\n\nUser-agent: *\nAllow: /\n", 1),
        ("Content-Signal: ai-train=no\n\nUser-agent: langaudio\nAllow: /\n", 1),
        ("User-agent: *\nContent-Signal: /spip.php ai-train=no\n", 2),
        ("User-agent: *\nContent-Usage: train-ai=n\n", 2),
        ("User-agent: *\nContent-Usage: search=y, train-ai=n;note=x\n", 2),
        ('User-agent: *\nContent-Signal: ai-train="no"\n', 2),
        ("User-agent: *\nContent-Usage: /spip.php\ttrain-ai=n\n", 2),
        ("User-agent: *\nContent-Signal: /*spip ai-train=no\nContent-Signal: /sp ai-train=no\n", 2),
    ],
)
def test_a_wish_against_training_refuses_until_there_is_consent(text: str, line: int) -> None:
    found = refusal(text)
    assert found is not None
    assert found.reason == "ai_train"
    assert f"{URL}, line {line}, " in str(found)
    assert "LANGAUDIO_CONSENT" in str(found)
    assert refusal(text, consent="Letter of the owner") is None


def test_consent_lifts_no_disallow() -> None:
    found = refusal("User-agent: *\nContent-Signal: ai-train=no\nDisallow: /\n", consent="Letter")
    assert found is not None
    assert found.reason == "robots"


@pytest.mark.parametrize(("status", "reason"), [(401, "forbidden"), (403, "forbidden"), (500, "unreadable"),
                                                (503, "unreadable"), (429, "unreadable"), (408, "unreadable"),
                                                (302, "unreadable"), (304, "unreadable")])  # fmt: skip
def test_rules_that_are_kept_from_us_are_a_refusal(status: int, reason: str) -> None:
    with pytest.raises(Refused, match=str(status)) as refused:
        rules_of(status, b"", URL)
    assert refused.value.reason == reason


@pytest.mark.parametrize("status", [404, 410, 400])
def test_no_rules_refuse_nothing(status: int) -> None:
    assert rules_of(status, b"User-agent: *\nDisallow: /\n", URL).refusal(PAGE) is None


def test_every_line_of_the_first_500_kib_counts() -> None:
    many = "User-agent: *\n" + "Allow:/\n" * 60_000 + "Disallow: /spip.php\n"
    assert len(many) < 500 * 1024
    found = rules_of(200, many.encode(), URL).refusal(PAGE)
    assert found is not None
    assert "line 60002, " in str(found)


def test_a_rule_that_the_limit_cuts_in_two_is_none() -> None:
    head, rule = "User-agent: *\n", "Disallow: /private\n"
    comment = "#" * (500 * 1024 - len(head) - len("\nDisallow: /")) + "\n"
    assert rules_of(200, (head + comment + rule).encode(), URL).refusal(PAGE) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("User-agent: *\nCrawl-delay: 2.5\n", 2.5),
        ("User-agent: *\nCrawl-delay: 10\nUser-agent: langaudio\nDisallow:\n", None),
        ("User-agent: *\nCrawl-delay: soon\n", 0.0),
        ("User-agent: *\nCrawl-delay: -1\n", 0.0),
        ("User-agent: *\nCrawl-delay: nan\n", 0.0),
        ("User-agent: *\nCrawl-delay: inf\n", 0.0),
        ("", None),
    ],
)
def test_the_crawl_delay_is_that_of_our_group(text: str, seconds: float | None) -> None:
    assert Rules.parse(text, URL).crawl_delay_s == seconds


@given(st.binary(max_size=2000), st.integers(200, 599))
def test_no_bytes_make_anything_but_rules_or_a_refusal(body: bytes, status: int) -> None:
    try:
        rules = rules_of(status, body, URL)
    except Refused:
        return
    rules.refusal(PAGE)


LINES = st.sampled_from(
    [
        *("User-agent: *", "User-agent: langaudio", "Disallow: /", "Disallow: /*a*b$", "Disallow:"),
        *("Allow: /spip.php", "Allow: %zz", "Content-Signal: ai-train=no", "Content-Signal: /x ai-train=no"),
        *("Crawl-delay: 3", "# a note", "", ":"),
    ]
)


@given(st.lists(LINES, max_size=30))
def test_any_order_of_lines_is_read(lines: list[str]) -> None:
    found = refusal("\n".join(lines))
    if found:
        assert found.reason in ("robots", "ai_train")


@pytest.mark.parametrize(
    "text",
    [
        "User-agent: *\nDisallow: /" + "*a" * 5_000 + "\n",
        "User-agent: *\n" + "Disallow: /x*y*z*\n" * 100_000,
        "User-agent: *\n" * 200_000,
        "User-agent: *\nDisallow: /" + "a" * 10**6,
        "User-agent: *\n" + "Disallow: /*s*p\n" * 100_000,
        "User-agent: *\n" + "Content-Signal: /s*p*x ai-train=no\n" * 100_000,
    ],
    ids=["wildcards", "lines", "agents", "one long line", "lines that match", "wishes"],
)
def test_a_hostile_file_is_read_all_the_same(text: str) -> None:
    rules_of(200, text.encode(), URL).refusal(PAGE + "a" * 2_000)
