"""Real parts for the tests: an S3 server, and settings that point at it."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from xdist.scheduler import LoadScopeScheduling

from langaudio.demo import contents
from langaudio.demo.site import app, build_synthetic
from langaudio.services.config import S3_SERVER_OPTIONS
from langaudio.settings import Settings, settings
from langaudio.store import Store, default_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType

# Torch, MLflow and the tests are many objects, which by default are gone through often, and in vain.
gc.set_threshold(20_000, 20, 20)

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("langaudio", deadline=None)
hypothesis.settings.load_profile("langaudio")

TOGETHER = ("integration", "pages")
"""Folders whose files share a deployment, or buckets and servers."""

LONGEST = (
    *("integration", "deploy", "pages", "test_kills.py", "test_store.py", "test_fit.py"),
    *("test_trouble.py", "test_increments.py", "test_stage.py", "test_promote.py", "test_forget.py"),
)
"""Folders and files that take half a minute or more each, the longest first."""

collect_ignore = ["dags/parse.py", "integration/notifier.py"]
"""What other processes run: looked through for doctests, they would bring Airflow into all of the tests'."""

SOAK = bool(os.environ.get("SOAK"))
"""Whether what is drawn by chance is drawn as often as it takes to believe it: `make soak`."""

BIN = Path(sys.executable).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
S3_KEYS = ("test-access", "test-secret")
SPEAKER_KEY = "a key for tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session", autouse=True)
def _only_test_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No variable of the developer's shell and no local services' settings may reach a test."""
    for name in [name for name in os.environ if name.startswith(("LANGAUDIO_", "AWS_", "AIRFLOW"))]:
        if name != "AWS_CA_BUNDLE":
            del os.environ[name]
    os.environ["LANGAUDIO_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real S3 server (``rclone serve s3``) that lives as long as the tests."""
    port = free_port()
    process = subprocess.Popen(
        [
            BIN / "rclone", "serve", "s3", str(tmp_path_factory.mktemp("s3")),
            "--addr", f"127.0.0.1:{port}", *S3_SERVER_OPTIONS,
        ],
        env={**os.environ, "RCLONE_AUTH_KEY": f'"{",".join(S3_KEYS)}"'},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _wait_for(port, process)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@contextmanager
def settings_of(s3_endpoint: str, folder: Path, bucket: str, **more: str) -> Iterator[Settings]:
    """Settings of a test's own, in the environment: an empty home, a bucket that no other test has."""
    values = {
        "HOME": str(folder / "home"),
        "S3_ENDPOINT": s3_endpoint,
        "S3_ACCESS_KEY": S3_KEYS[0],
        "S3_SECRET_KEY": S3_KEYS[1],
        "BUCKET": bucket,
        "SPEAKER_KEY": SPEAKER_KEY,
        "MLFLOW_URI": f"sqlite:///{folder}/mlflow.db",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (values | more).items():
            patch.setenv(f"LANGAUDIO_{name}", value)
        forget_cached()
        yield settings()
    forget_cached()


@pytest.fixture
def configured(s3_endpoint: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    with settings_of(s3_endpoint, tmp_path, f"test-{abs(hash(request.node.nodeid)):x}") as configured:
        yield configured


@pytest.fixture
def store(configured: Settings) -> Store:
    """An empty bucket on the real S3 server."""
    bucket = default_store()
    bucket.create_bucket()
    return bucket


def forget_cached() -> None:
    settings.cache_clear()
    default_store.cache_clear()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server on port {port} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


@pytest.fixture(scope="session")
def small_site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo site of French and English with three speakers and nine good clips each."""
    folder = tmp_path_factory.mktemp("small") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGAUDIO_SPEAKER_KEY", SPEAKER_KEY)
        settings.cache_clear()
        build_synthetic(folder, ["fr", "en"], speakers=3, clips=9)
    settings.cache_clear()
    return folder


@pytest.fixture
def small_site(small_site_folder: Path) -> Starlette:
    return app(small_site_folder)


@pytest.fixture(scope="session")
def spoken(small_site_folder: Path) -> bytes:
    """An MP3 of a few seconds of synthetic speech."""
    return _good_clips(small_site_folder)[0]


@pytest.fixture(scope="session")
def also_spoken(small_site_folder: Path) -> bytes:
    """Another one."""
    return _good_clips(small_site_folder)[1]


def _good_clips(folder: Path) -> list[bytes]:
    entries = contents.read(folder)
    names = [entry.mp3 for entry in entries if entry.mp3 and entry.defect is None]
    return [(folder / contents.MP3_FOLDER / name).read_bytes() for name in names[:2]]


@contextmanager
def served(site: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve an ASGI application on a free port of 127.0.0.1; give its address. ``options`` are uvicorn's."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(site, log_level="warning", **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    scheme = "https" if "ssl_certfile" in options else "http"
    yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], str]]:
    """Return a function that serves an application until the end of the test."""
    with ExitStack() as stack:
        yield lambda site: stack.enter_context(served(site))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launched(playwright.chromium)
        yield browser
        browser.close()


def launched(kind: BrowserType, *arguments: str) -> Browser:
    """Start the Chromium of this machine."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(
            "There is no Chromium to try the pages with: install it (on Debian: apt install chromium)."
        )
    always = ["--no-sandbox", "--disable-background-networking"]
    return kind.launch(executable_path=path, args=[*always, *arguments])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left waiting for another at the end."""
    items.sort(key=lambda item: min(map(_rank, (item.path.name, item.path.parent.name))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFixtures(config, log)


class _ByFixtures(LoadScopeScheduling):
    """The tests of a file run in one process; so do those of a folder whose files share what takes long to
    make.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder.rpartition("/")[2] in TOGETHER else file


def _rank(name: str) -> int:
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where CI is set, a test that was skipped has proved nothing: fail."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if reporter and os.environ.get("CI") and skipped and exitstatus == 0:
        reporter.write_line(f"{len(skipped)} tests were skipped, and CI runs all.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
