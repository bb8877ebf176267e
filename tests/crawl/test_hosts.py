"""Which machine answers, and how it is treated: pace, DNS, certificates, and answers that are hardly HTTP."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError
from langaudio.settings import settings
from langaudio.store import Store
from tests.conftest import served
from tests.crawl import library as site
from tests.crawl.conftest import Point
from tests.crawl.library import Library

FILE = "/IMG/mp3/7.mp3"


def crawled(store: Store) -> dict[str, Any]:
    return crawl(store, "fr", source="demo", run="one")


def test_a_host_outside_loopback_is_asked_once_a_second_by_name(
    store: Store, library: Library, point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.clips["fr"] = library.clips["fr"][:2]
    monkeypatch.setenv("LANGAUDIO_CONTACT", "mailto:crawl@example.org")
    monkeypatch.setenv("LANGAUDIO_DOWNLOAD_DELAY_S", "0")
    monkeypatch.setenv("LANGAUDIO_LOOPBACK_CONCURRENCY", "8")
    # By this address Linux reaches itself, and it is none of loopback's.
    point(settings().demo_url.replace("127.0.0.1", "0.0.0.0"))
    stats = crawled(store)
    assert len(library.asked) == stats["requests"] == 4
    gaps = [later - sooner for sooner, later in itertools.pairwise(library.times)]
    assert min(gaps) > 0.8  # measured where the requests arrive, which may be noted late
    assert sum(gaps) > 2.9
    assert stats["waited_s"] > 2.7
    (agent,) = library.agents
    assert agent.startswith("langaudio/")
    assert "+mailto:crawl@example.org" in agent


def test_a_name_that_leads_into_a_private_network_is_not_asked(
    store: Store, library: Library, point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "ask = socket.gethostbyname\n"
        "socket.gethostbyname = lambda name: '127.0.0.1' if name == 'audio.example' else ask(name)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    point(settings().demo_url.replace("127.0.0.1", "audio.example"))
    with pytest.raises(LangaudioError, match=r"audio\.example resolves to 127\.0\.0\.1, which is no public"):
        crawled(store)
    assert library.asked == []


def test_a_certificate_that_nobody_vouches_for_ends_the_crawl(
    store: Store, library: Library, point: Point, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.clips["fr"] = library.clips["fr"][:2]
    certificate = _self_signed(tmp_path)
    with served(library, ssl_certfile=str(certificate)) as url:
        point(url)
        with pytest.raises(LangaudioError, match="certificate"):
            crawled(store)
        assert library.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert crawled(store)["seen"] == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Type: audio/mpeg\r\n\r\n" + b"a" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nabcdefghi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6,
        b"\x16\x03\x01 not HTTP at all\r\n\r\n",
        b"",
    ],
    ids=["too much", "negative", "two lengths", "an endless chunk", "a long header", "no HTTP", "nothing"],
)
def test_an_answer_that_is_hardly_http_costs_one_clip_at_most(
    store: Store, library: Library, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    with _answering(answer) as url:
        roots = [f"{settings().demo_url}/", f"{url}/"]
        monkeypatch.setenv("LANGAUDIO_SOURCE_ROOTS", json.dumps({"demo": roots}))
        settings.cache_clear()
        library.answers[FILE] = site.redirect(f"{url}/7.mp3")
        stats = crawled(store)
    assert stats["seen"] == 12
    bad = [clip.page_url[-2:] for clip in Staging(store, "demo", "one", "fr").clips() if clip.problem]
    assert bad in ([], ["e7"])


@contextmanager
def _answering(answer: bytes) -> Iterator[str]:
    """Serve an answer of bytes to every request but that for robots.txt."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    asked = connection.recv(65536)
                    rules = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    connection.sendall(rules if b"/robots.txt" in asked else answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def _self_signed(folder: Path) -> Path:
    """Return a file with a certificate for 127.0.0.1 and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    return file
