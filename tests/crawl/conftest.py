"""A library to crawl, and the demo source pointed at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from langaudio.settings import settings
from tests.crawl.library import Library, numbered

Point = Callable[[str], None]


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Point:
    """Return a function that points the demo source at an address."""

    def point(url: str) -> None:
        monkeypatch.setenv("LANGAUDIO_DEMO_URL", url)
        settings.cache_clear()

    return point


@pytest.fixture
def library(serve: Callable[[ASGIApp], str], point: Point) -> Library:
    """Twelve French and three English clips, served."""
    library = Library({"fr": numbered(range(1, 13)), "en": numbered(range(101, 104), "en")})
    point(serve(library))
    return library
