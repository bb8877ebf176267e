"""The registry of sources, and a source that is added as docs/adding-a-source.md says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from langaudio.crawl.sources import SOURCES, load, source_named
from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError
from langaudio.services.config import PROJECT
from langaudio.settings import settings
from langaudio.store import Store


def test_every_source_has_a_spider_or_a_reader_that_can_be_imported() -> None:
    for name, source in SOURCES.items():
        assert source.name == name
        assert callable(load(source.spider or source.reader))
        assert source.languages()
        assert all(root.endswith("/") for root in source.roots)


def test_an_unknown_source_is_refused_with_what_is_known() -> None:
    with pytest.raises(LangaudioError, match=r"did you mean 'tatoeba'.*known are audio_lingua"):
        source_named("tatoba")


@pytest.mark.parametrize("path", ["nowhere.TOY", "json.dumps", "TOY", ""])
def test_what_is_no_source_is_refused_by_name(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_SOURCES", json.dumps([path]))
    settings.cache_clear()
    with pytest.raises(LangaudioError, match=r"of a source cannot be imported|which is no langaudio"):
        source_named("toy")
    settings.cache_clear()


@pytest.fixture
def toy(
    store: Store, serve: Callable[[ASGIApp], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The toy of the documentation, with a site of its own; returns what the site is asked for."""
    document = (PROJECT / "docs" / "adding-a-source.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    (tmp_path / "toy.py").write_text(code)
    asked: list[str] = []

    async def files(request: Request) -> Response:
        asked.append(request.url.path)
        return Response("# files\na.mp3\nb.mp3\n" if request.url.path == "/french.txt" else "Hello")

    async def audio(request: Request) -> Response:
        asked.append(request.url.path)
        return Response(request.url.path * 100, media_type="audio/mpeg")

    site = Starlette(routes=[Route("/{name}.txt", files), Route("/{name}.mp3", audio)])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LANGAUDIO_SOURCES", '["toy.TOY"]')
    monkeypatch.setenv("LANGAUDIO_SOURCE_ROOTS", json.dumps({"toy": [serve(site) + "/"]}))
    settings.cache_clear()
    return asked


def test_the_toy_of_the_documentation_is_a_source(store: Store, toy: list[str]) -> None:
    stats = crawl(store, "fr", source="toy", run="one")
    assert (stats["seen"], stats["new"], stats["walk"]) == (2, 2, "full")
    clips = Staging(store, "toy", "one", "fr").clips()
    assert [clip.licence for clip in clips] == ["CC0-1.0"] * 2
    assert toy == ["/robots.txt", "/french.txt", "/a.mp3", "/b.mp3"]


def test_its_changed_page_and_its_missing_language_are_told_like_any_others(
    store: Store, toy: list[str]
) -> None:
    with pytest.raises(LangaudioError, match="is no list of files"):
        crawl(store, "de", source="toy", run="one")
    with pytest.raises(LangaudioError, match="toy has no 'it'; it has de, fr"):
        crawl(store, "it", source="toy", run="one")
