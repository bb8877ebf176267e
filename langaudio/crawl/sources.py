"""The registry of sources. A new source is a row here and a spider, or a reader; ``docs/adding-a-source.md``.

A spider finds entries at a site; a reader yields recordings that lie ready. Both are named by a dotted path,
because importing Scrapy takes a second.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langaudio import languages
from langaudio.errors import LangaudioError, suggest
from langaudio.settings import settings


@dataclass(frozen=True)
class Source:
    """Where clips come from.

    Attributes:
        name: what staging, catalog and forms call it.
        title: for people.
        spider: dotted path of its spider, a ``ClipSpider``; or
        reader: dotted path of its reader, a function like ``langaudio.crawl.corpus.read``.
        sections: tag of a language → where the source keeps it; None: the registry of languages tells.
        own_roots: gives the addresses below which all its pages and files lie; the first is where a spider
            begins. No other host is ever contacted.
    """

    name: str
    title: str
    spider: str = ""
    reader: str = ""
    sections: Mapping[str, str] | None = None
    own_roots: Callable[[], list[str]] = list

    def languages(self) -> list[str]:
        """Return the tags of the languages that it has, sorted."""
        return languages.offered_by(self.name) if self.sections is None else sorted(self.sections)

    def section(self, language: str) -> str:
        """Return where it keeps a language.

        Raises:
            LangaudioError: unknown language, or it does not have it.
        """
        if self.sections is None:
            return languages.section(language, self.name)
        try:
            return self.sections[languages.get(language).code]
        except KeyError:
            raise LangaudioError(
                f"{self.name} has no {language!r}; it has {', '.join(self.languages())}."
            ) from None

    @property
    def roots(self) -> list[str]:
        """Its roots, or those that LANGAUDIO_SOURCE_ROOTS puts in their place."""
        return settings().source_roots.get(self.name) or self.own_roots()

    @property
    def consent(self) -> str | None:
        """Reference of the owner's consent to AI training, if the operator has one."""
        return settings().consent.get(self.name) or None


_AUDIO_LINGUA_SPIDER = "langaudio.crawl.spiders.audio_lingua.AudioLinguaSpider"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "audio_lingua",
            "audio-lingua (Académie de Versailles)",
            spider=_AUDIO_LINGUA_SPIDER,
            # The site moved twice; some of its pages still link the old hosts.
            own_roots=lambda: [
                "https://audio-lingua.ac-versailles.fr/",
                "https://www.audio-lingua.eu/",
                "https://audio-lingua.eu/",
            ],
        ),
        Source(
            "tatoeba",
            "Tatoeba, sentences read by volunteers",
            spider="langaudio.crawl.spiders.tatoeba.TatoebaSpider",
            own_roots=lambda: ["https://downloads.tatoeba.org/", "https://audio.tatoeba.org/"],
        ),
        Source("corpus", "Recordings of your own (LANGAUDIO_CORPUS)", reader="langaudio.crawl.corpus.read"),
        Source(
            "demo",
            "The local demo site",
            spider=_AUDIO_LINGUA_SPIDER,
            own_roots=lambda: [settings().demo_url + "/"],
        ),
    )
}


def source_named(name: str) -> Source:
    """Return a source of the registry, or one that LANGAUDIO_SOURCES adds.

    Raises:
        LangaudioError: there is none of this name, or LANGAUDIO_SOURCES names what is no source.
    """
    sources = SOURCES | {source.name: source for source in map(_imported, settings().sources)}
    try:
        return sources[name]
    except KeyError:
        raise LangaudioError(
            f"{name!r} is not a known source{suggest(name, sources)}; known are {', '.join(sources)}."
        ) from None


def load(path: str) -> Any:
    """Import what a dotted path names: a spider, a reader.

    Raises:
        LangaudioError: it cannot be imported.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LangaudioError(f"{path!r} of a source cannot be imported: {error}.") from None


def _imported(path: str) -> Source:
    found = load(path)
    if not isinstance(found, Source):
        raise LangaudioError(f"LANGAUDIO_SOURCES names {path!r}, which is no langaudio.crawl.sources.Source.")
    return found
