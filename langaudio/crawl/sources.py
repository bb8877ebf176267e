"""The registry of sources. A new source is a spider and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from langaudio.errors import LangaudioError, suggest
from langaudio.settings import settings


@dataclass(frozen=True)
class Source:
    """A site that clips come from.

    Attributes:
        name: what staging, catalog and forms call it.
        title: for people.
        spider: dotted path of its spider; a path, because importing Scrapy takes a second.
        base_url: gives the address of its root.
    """

    name: str
    title: str
    spider: str
    base_url: Callable[[], str]


_AUDIO_LINGUA_SPIDER = "langaudio.crawl.spiders.audio_lingua.AudioLinguaSpider"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "audio_lingua",
            "audio-lingua (Académie de Versailles)",
            _AUDIO_LINGUA_SPIDER,
            lambda: "https://audio-lingua.ac-versailles.fr/",
        ),
        Source("demo", "The local demo site", _AUDIO_LINGUA_SPIDER, lambda: settings().demo_url + "/"),
    )
}


def source_named(name: str) -> Source:
    """Return a source.

    Raises:
        LangaudioError: there is none of this name.
    """
    try:
        return SOURCES[name]
    except KeyError:
        raise LangaudioError(
            f"{name!r} is not a known source{suggest(name, SOURCES)}; known are {', '.join(SOURCES)}."
        ) from None
