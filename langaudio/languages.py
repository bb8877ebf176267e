"""The registry of languages: BCP-47 tag, English name, and the number of its section at each source.

A new language is a row here.
"""

from __future__ import annotations

from dataclasses import dataclass

from langaudio.errors import LangaudioError, suggest


@dataclass(frozen=True)
class Language:
    """A language and where to find it.

    Attributes:
        code: BCP-47 tag, the language's only identifier in keys, tables and labels.
        name: English name, for people.
        sections: source name → number of the section ("rubrique") that lists its clips there.
    """

    code: str
    name: str
    sections: dict[str, int]


def _on_audio_lingua(code: str, name: str, rubrique: int) -> Language:
    # The demo site is a replica of audio-lingua and keeps its section numbers.
    return Language(code, name, {"audio_lingua": rubrique, "demo": rubrique})


def _on_demo_only(code: str, name: str, rubrique: int) -> Language:
    return Language(code, name, {"demo": rubrique})


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        _on_audio_lingua("fr", "French", 1),
        _on_audio_lingua("en", "English", 2),
        _on_audio_lingua("de", "German", 3),
        _on_audio_lingua("es", "Spanish", 4),
        _on_audio_lingua("it", "Italian", 6),
        _on_audio_lingua("ru", "Russian", 7),
        _on_audio_lingua("pt", "Portuguese", 8),
        _on_audio_lingua("zh", "Chinese", 9),
        _on_audio_lingua("oc", "Occitan", 10),
        _on_audio_lingua("ar", "Arabic", 11),
        _on_audio_lingua("ca", "Catalan", 12),
        _on_audio_lingua("co", "Corsican", 15),
        _on_audio_lingua("gcf", "Guadeloupean Creole", 16),
        _on_audio_lingua("he", "Hebrew", 22),
        _on_demo_only("fa", "Persian", 101),
        _on_demo_only("nl", "Dutch", 102),
        _on_demo_only("sv", "Swedish", 103),
        _on_demo_only("tr", "Turkish", 104),
    )
}


def get(code: str) -> Language:
    """Return the language with this tag.

    Raises:
        LangaudioError: the tag is not in the registry.
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        raise LangaudioError(
            f"{code!r} is not a known language tag{suggest(code, LANGUAGES)}; "
            f"known are {', '.join(sorted(LANGUAGES))}."
        ) from None


def section(code: str, source: str) -> int:
    """Return the number of the section that lists the language's clips at a source.

    Raises:
        LangaudioError: unknown language, or the source does not have it.
    """
    language = get(code)
    try:
        return language.sections[source]
    except KeyError:
        raise LangaudioError(
            f"{source} has no {language.name} ({code}); it has {', '.join(offered_by(source))}."
        ) from None


def offered_by(source: str) -> list[str]:
    """Return the tags of all languages that a source offers, sorted."""
    return sorted(code for code, language in LANGUAGES.items() if source in language.sections)
