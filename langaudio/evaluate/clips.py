"""Asking models about clips, and about the first seconds of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from langaudio import audio
from langaudio.evaluate.measures import Answers, among
from langaudio.serve import Model, identify

DURATIONS_S = (1.0, 3.0, 5.0, 10.0)
"""Seconds of speech that are heard of each clip, from its beginning; and then all of it."""

ALL = "all"

_SHORTEST_S = 0.1  # what is cut off behind a pause may be next to nothing, and less says nothing
_REPETITIONS = 7


@dataclass(frozen=True)
class TestClip:
    """A clip, and what models say of it.

    Attributes:
        language: what is spoken.
        speaker: who speaks; None if it is not known.
        source: where it comes from.
        sex: of the speaker; None if it is not known.
        said: model → how much of the clip was heard (``"3 s"``, ``ALL``) → log-probabilities.
        accepted: model → whether there was evidence enough for an answer, of all of the clip.
    """

    __test__ = False  # it is no test of pytest's

    language: str
    speaker: str | None
    source: str
    sex: str | None
    said: Mapping[str, Mapping[str, np.ndarray]]
    accepted: Mapping[str, bool]


def hear(
    models: Mapping[str, Model], segments: Sequence[np.ndarray]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, bool]]:
    """Return what each model says of a clip's speech and of its beginnings, and whether it accepts it."""
    said: dict[str, dict[str, np.ndarray]] = {}
    accepted = {}
    for name, model in models.items():
        said[name] = {}
        for seconds in DURATIONS_S:
            heard = model.hear(first_seconds(segments, seconds))
            assert heard is not None
            said[name][f"{seconds:g} s"] = heard.answer
        heard = model.hear(segments)
        assert heard is not None
        said[name][ALL] = heard.answer
        accepted[name] = model.calibration.accepts(heard)
    return said, accepted


def first_seconds(segments: Iterable[np.ndarray], seconds: float) -> Iterator[np.ndarray]:
    """Yield segments until they have so many seconds; the last is cut, and there may be less in all."""
    left = round(seconds * audio.SAMPLE_RATE)
    for segment in segments:
        if left < _SHORTEST_S * audio.SAMPLE_RATE:
            return
        yield segment[:left]
        left -= len(segment)


def answers(
    clips: Sequence[TestClip], name: str, known: Sequence[str], of: Sequence[str], heard: str = ALL
) -> Answers:
    """Return a model's answers to clips in some languages, with only these to choose from.

    Args:
        clips: all of them in one of the languages.
        name: of the model.
        known: the languages that it knows, in the order of its answers.
        of: the languages to choose from.
        heard: how much of each clip.
    """
    said = np.stack([clip.said[name][heard] for clip in clips])
    return Answers(
        among(said, [known.index(code) for code in of]),
        [of.index(clip.language) for clip in clips],
        [clip.speaker for clip in clips],
    )


def latency_ms(model: Model, segments: Iterable[np.ndarray]) -> float:
    """Return the milliseconds from file to answer of ten seconds of speech, on one thread.

    It is the best of some tries: what else the machine does is no fault of the model's.
    """
    length = 10 * audio.SAMPLE_RATE
    speech = np.resize(np.concatenate(list(first_seconds(segments, 10))), length)
    recording = audio.to_flac(speech, audio.SAMPLE_RATE)
    took = []
    for _ in range(_REPETITIONS):
        begin = time.perf_counter()
        identify(recording, model)
        took.append(time.perf_counter() - begin)
    return 1000 * min(took)
