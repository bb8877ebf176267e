"""A crawl and its upload, killed at any moment and run again, leave what an undisturbed run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langaudio.crawl import journal
from langaudio.store import Store, default_store
from tests.conftest import served, settings_of
from tests.crawl.library import Clip, Library

RUN = """
from datetime import UTC, datetime
from langaudio.crawl.stage import crawl
from langaudio.store import default_store
from langaudio.upload import upload
crawl(default_store(), "fr", source="demo", run="one", at=datetime(2026, 11, 1, tzinfo=UTC))
upload(default_store(), "fr", source="demo", run="one")
"""

Moment = Callable[[Library, Store], bool]


def asked(number: int) -> Moment:
    return lambda library, _: len(library.asked) >= number


def there(prefix: str, number: int) -> Moment:
    return lambda _, store: sum(1 for _ in store.list(prefix)) >= number


MOMENTS: dict[str, Moment] = {
    "before robots.txt came": asked(1),
    "at the first list": asked(2),
    "at the first file": asked(3),
    "in the middle of the files": asked(8),
    "at the last file": asked(16),
    "when a file is staged": there("staging/demo/one/fr/audio/", 1),
    "when most files are staged": there("staging/demo/one/fr/audio/", 9),
    "when the crawl is complete": there("staging/demo/one/fr/_SUCCESS", 1),
    "when a clip is published": there("raw/", 1),
    "when a clip is quarantined": there("quarantine/", 1),
}


@pytest.fixture(scope="module")
def library(spoken: bytes) -> Library:
    """Twelve French clips: one without a file, one that is none, and two that are the same."""
    clips = [Clip(number, spoken + f"TAG{number}".ljust(128).encode()) for number in range(12, 0, -1)]
    clips[2].audio, clips[5].audio, clips[7].audio = None, b"no audio", clips[8].audio
    return Library({"fr": clips})


@pytest.fixture(scope="module")
def address(library: Library) -> Iterator[str]:
    with served(library) as url:
        yield url


def run(kill_at: Callable[[], bool] | None = None) -> bool:
    """Crawl and upload in a process; tell whether it was killed before its end."""
    process = subprocess.Popen([sys.executable, "-c", RUN], stderr=subprocess.DEVNULL, start_new_session=True)
    while kill_at and process.poll() is None:
        if kill_at():
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    return process.wait(60) == -signal.SIGKILL


def content(store: Store) -> dict[str, bytes]:
    """Everything in the bucket but when a run's last attempt was and what it cost: counts and journal."""
    return {
        item.key: store.get(item.key)
        for item in store.list("")
        if not item.key.endswith("stats.json") and not item.key.startswith("crawls/")
    }


@pytest.fixture(scope="module")
def undisturbed(
    s3_endpoint: str, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, bytes]]:
    """What a run leaves in a bucket of its own."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with settings_of(s3_endpoint, folder, "crawl-undisturbed", DEMO_URL=address):
        default_store().create_bucket()
        assert not run()
        yield content(default_store())


@pytest.fixture
def store(
    s3_endpoint: str,
    address: str,
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Store]:
    bucket = f"killed-{abs(hash(request.node.nodeid)):x}"
    with settings_of(s3_endpoint, tmp_path, bucket, DEMO_URL=address):
        default_store().create_bucket()
        yield default_store()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_ends_as_if_nothing_had_happened(
    store: Store, library: Library, undisturbed: dict[str, bytes], moment: str
) -> None:
    library.asked.clear()
    assert run(lambda: MOMENTS[moment](library, store))
    fetched = set(library.audio_asked()[:-1])  # the last one may not have arrived
    staged = {item.key for item in store.list("staging/demo/one/fr/audio/")}
    library.asked.clear()
    assert not run()
    assert content(store) == undisturbed
    assert [one.outcome for one in journal.read(store, "fr")] == ["done"]
    # What had been staged was not fetched again, nor what was on its way to the bucket and arrived later.
    assert 11 - len(fetched) - 1 <= len(library.audio_asked()) <= 11 - len(staged)
    assert len(fetched & set(library.audio_asked())) <= len(fetched) - len(staged) + 1
