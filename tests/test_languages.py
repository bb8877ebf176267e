"""The registry of languages."""

from __future__ import annotations

import pytest

from langaudio import languages
from langaudio.crawl.sources import SOURCES
from langaudio.errors import LangaudioError


def test_every_tag_stands_for_itself_and_is_offered_by_a_source() -> None:
    for code, language in languages.LANGUAGES.items():
        assert language.code == code
        assert language.sections.keys() <= SOURCES.keys()
        assert language.sections


def test_no_source_lists_two_languages_in_one_section() -> None:
    for source in SOURCES:
        sections = [languages.section(code, source) for code in languages.offered_by(source)]
        assert len(sections) == len(set(sections)) > 0


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("frr", r" \(did you mean 'fr'\?\)\.$"),
        ("French", r" \(did you mean 'fr'\?\)\.$"),
        ("xx", "; known are ab, .*, zh"),
    ],
)
def test_an_unknown_tag_is_refused_with_the_one_that_was_meant_or_all(code: str, hint: str) -> None:
    with pytest.raises(LangaudioError, match=rf"'{code}' is not a known language tag{hint}"):
        languages.get(code)


def test_a_language_that_a_source_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(LangaudioError, match=r"audio_lingua has no Dutch.*fr"):
        languages.section("nl", "audio_lingua")
