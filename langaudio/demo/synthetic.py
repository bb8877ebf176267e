"""Build a site of synthetic speech: good clips in six languages, and a few entries that are bad on purpose.

The bad entries are the troubles that crawls of the real site met. They come beside the good clips, one
kind to a language in turn; ``Entry.defect`` names them:

- ``no_audio``: the entry has neither a player nor a download.
- ``text_as_mp3``: a text file whose name ends in ``.mp3``.
- ``truncated``: an MP3 that ends at two fifths of the length that its header announces.
- ``silent``: an MP3 of digital silence.
- ``two_languages``: one MP3 that two languages list (left out if the site has one language only).
- ``missing_file``: the entry links an MP3 that the server does not have.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr

from langaudio.audio import mp3
from langaudio.demo import casting, contents, sentences
from langaudio.demo.contents import Entry
from langaudio.demo.sentences import Topic
from langaudio.demo.voices import SAMPLE_RATE, VOICES, Voice, speak
from langaudio.errors import LangaudioError
from langaudio.languages import section
from langaudio.speakers import Split

DEFECTS = ("no_audio", "text_as_mp3", "truncated", "silent", "two_languages", "missing_file")

# Raise it when the same arguments give other clips than before: sites built earlier are then rebuilt.
_VERSION = 1

_LICENCE = ("CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/")

_PAUSE_S = 0.25  # between two sentences
_SPEECH_RMS = 0.08  # re full scale
_FAR_SIDE = 0.7  # level of the second channel: nobody sits quite in the middle
_TEXT = "The recording follows as soon as the microphone is repaired.\n"
_STARTS = (0, 2, 1, 3)  # the sentence that a topic is begun with, each time that it comes up again


@dataclass(frozen=True)
class _Recording:
    """How a clip was recorded: what differs between clips and must tell nothing about the language."""

    sample_rate: int
    channels: int
    kbps: int


# Eleven, which shares no factor with twelve speakers, so that each of them is recorded in several ways.
_RECORDINGS = (
    _Recording(48_000, 2, 128),
    _Recording(22_050, 1, 56),
    _Recording(32_000, 1, 64),
    _Recording(16_000, 1, 48),
    _Recording(24_000, 1, 80),
    _Recording(16_000, 2, 64),
    _Recording(44_100, 1, 96),
    _Recording(22_050, 1, 80),
    _Recording(16_000, 1, 64),
    _Recording(32_000, 1, 48),
    _Recording(24_000, 1, 64),
)


@dataclass(frozen=True)
class _Speaker:
    auteur: int
    name: str
    language: str
    side: Split
    voice: Voice


@dataclass(frozen=True)
class _Take:
    """One clip, planned.

    Attributes:
        article: number of its page.
        mp3: name of its file.
        speaker: who speaks it.
        topic: what about.
        first: index of the topic's sentence that it begins with; the others follow in a circle.
        min_duration_s: it ends with the sentence that reaches this.
        recording: how.
        defect: what is to be wrong with it.
    """

    article: int
    mp3: str
    speaker: _Speaker
    topic: Topic
    first: int
    min_duration_s: float
    recording: _Recording
    defect: str | None

    @property
    def sentences(self) -> tuple[str, ...]:
        return self.topic.sentences[self.first :] + self.topic.sentences[: self.first]


def build_synthetic(
    folder: Path, languages: Sequence[str] = sentences.LANGUAGES, speakers: int = 12, clips: int = 36
) -> None:
    """Build a site of synthetic speech; a folder that was built with the same arguments is left alone.

    The same arguments and the same key of speakers give the same bytes.

    Args:
        folder: created if it does not exist.
        languages: tags out of ``sentences.LANGUAGES``.
        speakers: how many a language has. Two thirds of them train, a sixth is dev and a sixth test, at
            least one each; their numbers are chosen so that the pipeline agrees, see ``casting``.
        clips: how many good clips of 4–12 s a language has, dealt out to its speakers in turn.

    Raises:
        LangaudioError: an argument out of range, or the key of speakers is not set.
    """
    if not languages or len(set(languages)) < len(languages):
        raise LangaudioError(f"languages={list(languages)} must name at least one language, each once.")
    if not 1 <= speakers <= len(VOICES):
        raise LangaudioError(f"speakers={speakers} must be 1 to {len(VOICES)}: that many voices exist.")
    if clips < speakers:
        raise LangaudioError(f"clips={clips} must be at least speakers={speakers}, one for each.")
    for language in languages:
        sentences.script(language)
    made_with = {
        "kind": "synthetic",
        "version": _VERSION,
        "languages": list(languages),
        "speakers": speakers,
        "clips": clips,
        "numbering": casting.fingerprint(),
    }
    contents.build_once(folder, made_with, lambda mp3s: _make(mp3s, languages, speakers, clips))


def _make(mp3s: Path, languages: Sequence[str], speakers: int, clips: int) -> list[Entry]:
    by_speaker: dict[_Speaker, list[_Take]] = {}
    for order, (language, cast) in enumerate(_cast(languages, speakers).items()):
        # Languages take turns, so that each has clips among the site's newest.
        articles = itertools.count(order + 1, step=len(languages))
        for take in _plan(language, cast, clips, _defects_of(language, languages), articles):
            by_speaker.setdefault(take.speaker, []).append(take)
    # Threads, because a speaker is a child process, and encoding lets go of the interpreter.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        recorded = pool.map(lambda item: _record(mp3s, *item), by_speaker.items())
        entries = [entry for own in recorded for entry in own]
    return [*entries, *_second_listings(entries, languages)]


def _cast(languages: Sequence[str], speakers: int) -> dict[str, list[_Speaker]]:
    """Return the speakers of each language: the same voices on the same sides, under other names."""
    numbers = casting.numbers()
    cast: dict[str, list[_Speaker]] = {}
    for language in languages:
        script = sentences.script(language)
        given_names = {sex: iter(names) for sex, names in script.names.items()}
        places = itertools.cycle(script.places)
        cast[language] = [
            _Speaker(
                auteur=next(numbers[side]),
                name=f"{next(given_names[voice.sex])} ({next(places)})",
                language=language,
                side=side,
                voice=voice,
            )
            for side, voice in zip(casting.sides(speakers), VOICES, strict=False)
        ]
    return cast


def _defects_of(language: str, languages: Sequence[str]) -> list[str]:
    kinds = [kind for kind in DEFECTS if kind != "two_languages" or len(languages) > 1]
    return [
        kind for kind, victim in zip(kinds, itertools.cycle(languages), strict=False) if victim == language
    ]


def _plan(
    language: str, cast: list[_Speaker], clips: int, defects: list[str], articles: Iterator[int]
) -> Iterator[_Take]:
    script = sentences.script(language)
    topics = {speaker.side: script.topics_of(speaker.side) for speaker in cast}
    planned: Counter[Split] = Counter()
    slots: list[tuple[int, str | None]] = [(number, None) for number in range(clips)]
    # The bad entries lie among the good ones, where a crawl that stops at them would be noticed.
    slots[clips // 2 : clips // 2] = [(0, defect) for defect in defects]
    for article, (number, defect) in zip(articles, slots, strict=False):
        speaker = cast[number % len(cast)]
        round_, nth = divmod(planned[speaker.side], len(topics[speaker.side]))
        planned[speaker.side] += 1
        yield _Take(
            article=article,
            mp3=f"{language}_{article:04}.mp3",
            speaker=speaker,
            topic=topics[speaker.side][nth],
            first=_STARTS[round_ % len(_STARTS)],
            min_duration_s=4.2 + 0.6 * (number % 5),
            recording=_RECORDINGS[number % len(_RECORDINGS)],
            defect=defect,
        )


def _record(mp3s: Path, speaker: _Speaker, takes: list[_Take]) -> list[Entry]:
    """Speak all takes of a speaker, write their files, and return their entries."""
    lines = [sentence for take in takes for sentence in take.sentences]
    spoken = iter(speak(lines, speaker.language, speaker.voice))
    entries = []
    for take in takes:
        samples = _join(list(itertools.islice(spoken, len(take.sentences))), take.min_duration_s)
        data = _file(samples, take)
        if take.defect not in ("no_audio", "missing_file"):
            (mp3s / take.mp3).write_bytes(data)
        entries.append(_entry(take, len(samples) / SAMPLE_RATE, len(data)))
    return entries


def _join(spoken: list[np.ndarray], min_duration_s: float) -> np.ndarray:
    """Join as many sentences as it takes to reach a duration, and bring them to the common loudness."""
    pause = np.zeros(round(_PAUSE_S * SAMPLE_RATE), np.float32)
    samples = spoken[0]
    for sentence in spoken[1:]:
        if len(samples) >= min_duration_s * SAMPLE_RATE:
            break
        samples = np.concatenate([samples, pause, sentence])
    gain = _SPEECH_RMS / np.sqrt(np.mean(samples**2))
    return samples * min(gain, 0.99 / np.abs(samples).max())


def _file(samples: np.ndarray, take: _Take) -> bytes:
    """Return the bytes of the MP3, or what the take's defect makes of them."""
    if take.defect == "text_as_mp3":
        return _TEXT.encode()
    if take.defect == "silent":
        samples = np.zeros_like(samples)
    recorded = soxr.resample(samples, SAMPLE_RATE, take.recording.sample_rate)
    if take.recording.channels == 2:
        recorded = np.stack([recorded, _FAR_SIDE * recorded], axis=1)
    data = mp3.encode(recorded, take.recording.sample_rate, take.recording.kbps)
    return data[: len(data) * 2 // 5] if take.defect == "truncated" else data


def _entry(take: _Take, duration_s: float, size: int) -> Entry:
    voice = take.speaker.voice
    return Entry(
        article=take.article,
        language=take.speaker.language,
        section=int(section(take.speaker.language, "demo")),
        title=take.topic.title,
        summary=take.sentences[0],
        auteur=take.speaker.auteur,
        speaker=take.speaker.name,
        side=take.speaker.side,
        tags=(
            contents.tag(2, take.topic.level),
            contents.tag(3, f"{voice.sex} voice"),
            contents.tag(4, voice.age),
            contents.length_tag(duration_s),
        ),
        licence=_LICENCE[0],
        licence_url=_LICENCE[1],
        mp3=None if take.defect == "no_audio" else take.mp3,
        bytes=size,
        duration_s=round(duration_s, 3),
        defect=take.defect,
    )


def _second_listings(entries: list[Entry], languages: Sequence[str]) -> Iterator[Entry]:
    """List the clip that two languages share a second time, in the language after its own."""
    newest = max(entry.article for entry in entries)
    for entry in entries:
        if entry.defect == "two_languages":
            other = languages[(languages.index(entry.language) + 1) % len(languages)]
            yield replace(entry, article=newest + 1, language=other, section=int(section(other, "demo")))
