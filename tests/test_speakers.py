"""Pseudonyms and the split."""

from __future__ import annotations

from collections import Counter

import pytest

from langaudio.errors import LangaudioError
from langaudio.settings import Settings, settings
from langaudio.speakers import speaker_id, split_of


@pytest.mark.usefixtures("configured")
def test_a_pseudonym_is_stable_and_depends_on_source_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    first = speaker_id("demo", "auteur925")
    assert first == speaker_id("demo", "auteur925")
    assert first != speaker_id("audio_lingua", "auteur925")
    monkeypatch.setenv("LANGAUDIO_SPEAKER_KEY", "another key")
    settings.cache_clear()
    assert first != speaker_id("demo", "auteur925")


def test_without_a_key_no_pseudonym_is_made(configured: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGAUDIO_SPEAKER_KEY")
    settings.cache_clear()
    with pytest.raises(LangaudioError, match="LANGAUDIO_SPEAKER_KEY is not set"):
        speaker_id("demo", "auteur925")


def test_the_split_has_its_shares() -> None:
    sides = Counter(split_of(f"{number:020x}") for number in range(20_000))
    assert sides["test"] / 20_000 == pytest.approx(0.20, abs=0.01)
    assert sides["dev"] / 20_000 == pytest.approx(0.15, abs=0.01)


def test_an_unknown_speaker_is_never_tested_on() -> None:
    assert split_of(None) == "train"
