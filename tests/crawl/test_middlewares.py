"""Which hosts are asked, and how long they may let us wait; whole crawls are in test_trouble.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from scrapy.exceptions import CannotResolveHostError
from scrapy.http import Request, Response
from twisted.internet.error import DNSLookupError

from langaudio.crawl.middlewares import (
    OwnHostsOnly,
    PublicAddressesOnly,
    _is_public,
    _retry_after,
    scrapy_settings,
)
from langaudio.crawl.policy import OffSite

ROOTS = ["https://audio.example/", "http://files.example:8080/"]


@pytest.mark.parametrize(
    "url",
    [
        "https://audio.example/spip.php?rubrique1",
        "https://AUDIO.example:443/x",
        "http://files.example:8080/IMG/a.mp3",
    ],
)
def test_a_sources_own_hosts_are_asked(url: str) -> None:
    request = Request(url)
    OwnHostsOnly(ROOTS, 1000).process_request(request)
    assert request.meta["download_maxsize"] == 1000


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example:8080/",
        "http://files.example/",
        "https://audio.example.evil.example/",
        "https://evil.example/?https://audio.example/",
        "https://audio.example@evil.example/",
        "https://user:word@audio.example/",
        "https://evil.audio.example/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/",
        "ftp://audio.example/",
        "file:///etc/passwd",
    ],
)
def test_no_other_host_is_asked(url: str) -> None:
    with pytest.raises(OffSite, match="outside the source's own hosts"):
        OwnHostsOnly(ROOTS, 1000).process_request(Request(url))


@pytest.mark.parametrize(
    "url",
    ["http://audio.example/IMG/a.mp3?x=http://y:80/", "http://AUDIO.example:80/IMG/a.mp3?x=http://y:80/"],
)
def test_what_is_linked_by_http_is_asked_by_https(url: str) -> None:
    instead = OwnHostsOnly(ROOTS, 1000).process_request(Request(url, meta={"audio": True}))
    assert instead is not None
    assert instead.url == "https://audio.example/IMG/a.mp3?x=http://y:80/"
    assert instead.meta["audio"]


def test_a_file_may_be_larger_than_a_page() -> None:
    request = Request("https://audio.example/a.mp3", meta={"audio": True})
    OwnHostsOnly(ROOTS, 1000).process_request(request)
    assert "download_maxsize" not in request.meta


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_connected_to(address: str) -> None:
    assert _is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    ],
)
def test_a_name_that_leads_into_a_private_network_is_not_connected_to(address: str) -> None:
    resolver = PublicAddressesOnly.__new__(PublicAddressesOnly)
    with pytest.raises(DNSLookupError, match="no public address"):
        resolver._checked(address, "audio.example")
    # The resolver's word is lost on its way through Twisted; the crawl tells it all the same.
    lost = CannotResolveHostError("no results")
    with pytest.raises(OffSite, match=f"resolves to {address}"):
        OwnHostsOnly(ROOTS, 1000).process_exception(Request("https://audio.example/"), lost)


def test_a_source_that_is_configured_to_be_private_is_connected_to() -> None:
    resolver = PublicAddressesOnly.__new__(PublicAddressesOnly)
    resolver._trusted = frozenset(["localhost"])
    assert resolver._checked("127.0.0.1", "localhost") == "127.0.0.1"


def answer(status: int, retry_after: str | None) -> Response:
    headers = {"Retry-After": retry_after} if retry_after is not None else {}
    return Response("https://audio.example/", status=status, headers=headers)


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (503, "120", 120),
        (429, "0", 0),
        (503, None, None),
        (503, "soon", None),
        (503, "-5", None),
        (503, "9" * 400, 9_999_999_999),
        (503, "Fri, 99 Foo 2026", None),
        (503, "Wed, 01 Jan 2020 00:00:00 GMT", 0),
        (200, "120", None),
    ],
)
def test_a_wait_is_read_from_seconds(status: int, retry_after: str | None, seconds: float | None) -> None:
    assert _retry_after(answer(status, retry_after)) == seconds


def test_a_wait_is_read_from_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert _retry_after(answer(503, later)) == pytest.approx(90, abs=2)


@pytest.mark.parametrize(("asked_s", "kept_s"), [(0.0, 1.0), (0.5, 1.0), (3.0, 3.0)])
def test_a_host_outside_loopback_is_asked_once_a_second_at_most(asked_s: float, kept_s: float) -> None:
    settings = scrapy_settings(
        ROOTS, user_agent="langaudio", consent=None, delay_s=asked_s, max_wait_s=1, max_page_bytes=1,
        max_audio_bytes=1, timeout_s=1,
    )  # fmt: skip
    assert settings["DOWNLOAD_DELAY"] == kept_s
    assert settings["DOWNLOAD_DELAY_JITTER"] == 0
    assert settings["AUTOTHROTTLE_ENABLED"]
    assert settings["CONCURRENT_REQUESTS_PER_DOMAIN"] == 1


def test_no_delay_that_a_host_may_ask_for_is_shortened() -> None:
    settings = scrapy_settings(
        ROOTS, user_agent="langaudio", consent=None, delay_s=90, max_wait_s=600, max_page_bytes=1,
        max_audio_bytes=1, timeout_s=1,
    )  # fmt: skip
    assert settings["AUTOTHROTTLE_MAX_DELAY"] >= 600
