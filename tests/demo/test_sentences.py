from __future__ import annotations

import unicodedata

import pytest

from langaudio.demo import sentences
from langaudio.demo.voices import SAMPLE_RATE, VOICES, speak
from langaudio.errors import LangaudioError

SCRIPT = {"ru": "CYRILLIC", "zh": "CJK"}


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_every_letter_is_of_the_languages_own_script(language: str) -> None:
    script = SCRIPT.get(language, "LATIN")
    text = "".join(line for topic in sentences.script(language).topics for line in topic.sentences)
    letters = {letter for letter in text if letter.isalpha()}
    assert {letter for letter in letters if not unicodedata.name(letter).startswith(script)} == set()


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_no_sentence_is_said_twice_so_no_side_hears_anothers(language: str) -> None:
    topics = sentences.script(language).topics
    lines = [line for topic in topics for line in topic.sentences]
    assert len(lines) == len(set(lines)) >= 16
    assert {topic.side for topic in topics} == {"train", "dev", "test"}


def test_topics_tell_nothing_about_the_language() -> None:
    shapes = {
        tuple((topic.level, topic.side, len(topic.sentences)) for topic in sentences.script(language).topics)
        for language in sentences.LANGUAGES
    }
    assert len(shapes) == 1


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_there_is_a_name_for_every_voice(language: str) -> None:
    for sex, names in sentences.script(language).names.items():
        assert len(set(names)) >= sum(voice.sex == sex for voice in VOICES)


@pytest.mark.parametrize("language", sentences.LANGUAGES)
def test_sentences_are_short_enough_to_end_a_clip_in_time_and_topics_long_enough_to_fill_it(
    language: str,
) -> None:
    topics = sentences.script(language).topics
    lines = [line for topic in topics for line in topic.sentences]
    by_tempo = sorted(VOICES, key=lambda voice: voice.words_per_minute)
    slow = [len(line) / SAMPLE_RATE for line in speak(lines, language, by_tempo[0])]
    fast = [len(line) / SAMPLE_RATE for line in speak(lines, language, by_tempo[-1])]
    # 6.6 s is the longest that a clip waits for, 0.25 s the pause before the sentence that completes it.
    assert 6.6 + 0.25 + max(slow) < 12
    size = len(topics[0].sentences)
    assert min(sum(fast[begin : begin + size]) for begin in range(0, len(fast), size)) > 6.6


def test_a_language_that_nobody_wrote_is_refused_with_those_that_are() -> None:
    with pytest.raises(LangaudioError, match=r"do not speak 'oc'.* fr, en, de, es, ru, zh"):
        sentences.script("oc")
