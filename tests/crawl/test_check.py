"""`scrapy check` tries the spiders' contracts on a site that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from langaudio.store import Store
from tests.crawl.conftest import Point
from tests.crawl.library import Library, body


def check() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "scrapy", "check"],
        env=os.environ | {"SCRAPY_SETTINGS_MODULE": "langaudio.crawl.check"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("store")
def test_the_contracts_hold_on_the_demo_site(
    small_site: ASGIApp, serve: Callable[[ASGIApp], str], point: Point
) -> None:
    point(serve(small_site))
    result = check()
    assert result.returncode == 0, result.stderr
    assert "Ran 3 contracts" in result.stderr


def test_a_site_that_changed_breaks_them(store: Store, library: Library) -> None:
    library.answers["/spip.php"] = body(b"<html>Another design</html>", "text/html")
    result = check()
    assert result.returncode == 1
    assert "FAILED" in result.stderr
