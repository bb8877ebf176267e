"""Who speaks which language when, in a recording of any length.

The recording is heard window by window. A window of a few seconds says less than a clip, so neighbours are
heard together: of all ways to lay languages over the windows the likeliest is taken, where each change of
language costs as much as ``CHANGE`` says (Viterbi, 1967). Decoding, detection of speech and the network all
work on what is read; what is kept of an hour are some numbers a window.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from langaudio import audio
from langaudio.calibration import Heard
from langaudio.serve.champion import load_champion
from langaudio.serve.identification import Recording, columns_of, explained, shares
from langaudio.serve.model import Model
from langaudio.voting import normalised

CHANGE = 3.0
"""Nats that a change of language costs."""


@dataclass(frozen=True)
class Span:
    """A stretch in one language, from its first speech to its last.

    Attributes:
        begin_s: in seconds from the beginning of the recording.
        end_s: the same.
        language: its BCP-47 tag; None if it is unknown.
        probability: of the likeliest language, by all of the stretch's speech.
        speech_s: seconds of speech in it.
    """

    begin_s: float
    end_s: float
    language: str | None
    probability: float
    speech_s: float


@dataclass(frozen=True)
class Timeline:
    """What is spoken when.

    Attributes:
        spans: in order; between them nobody speaks.
        speech: begin and end of every segment of speech, in seconds.
        duration_s: of the recording.
        version: of the model; None if it came from a file.
    """

    spans: list[Span]
    speech: list[audio.Region]
    duration_s: float
    version: int | None

    def seconds_by_language(self) -> dict[str | None, float]:
        """Return the seconds of speech in each language, the most first."""
        summed: dict[str | None, float] = {}
        for span in self.spans:
            summed[span.language] = summed.get(span.language, 0.0) + span.speech_s
        return dict(sorted(summed.items(), key=lambda one: -one[1]))


@dataclass(frozen=True)
class _Window:
    """A window, and what the network says of it: calibrated log-probabilities, shape ``(languages,)``."""

    begin_s: float
    end_s: float
    speech_s: float
    said: np.ndarray


def timeline(recording: Recording, model: Model | None = None, *, among: Sequence[str] = ()) -> Timeline:
    """Say which languages are spoken in a recording, and when.

    Args:
        recording: an encoded file or its path, of any length. Memory stays flat only for a path.
        model: whom to ask; the champion if None.
        among: as in ``identify``.

    Raises:
        NotAudio, LangaudioError, Unavailable: as in ``identify``.
    """
    with explained(recording) as given:
        clock = _Clock(audio.decode_blocks(given))
        segments = audio.speech_in(clock)
        first = list(itertools.islice(segments, 1))
        model = model or load_champion()
        columns = columns_of(model, among)
        speech: list[audio.Region] = []
        heard: list[_Window] = []
        for segment in itertools.chain(first, segments):
            speech.append((segment.begin_s, segment.end_s))
            heard += _windows(model, segment)
    return Timeline(_spans(model, heard, columns, bool(among)), speech, clock.seconds, model.version)


class _Clock:
    """Passes blocks on and counts the seconds."""

    def __init__(self, blocks: Iterator[np.ndarray]) -> None:
        self._blocks = blocks
        self._samples = 0

    @property
    def seconds(self) -> float:
        return self._samples / audio.SAMPLE_RATE

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            self._samples += len(block)
            yield block


def _windows(model: Model, segment: audio.Segment) -> Iterator[_Window]:
    """Yield the windows of a segment, each with its share of it: windows overlap, shares do not."""
    heard = model.hear([segment.samples])
    assert heard is not None
    edges = np.linspace(segment.begin_s, segment.end_s, len(heard.weights) + 1).tolist()
    for (begin, end), said in zip(itertools.pairwise(edges), heard.log_probabilities, strict=True):
        yield _Window(begin, end, end - begin, said)


def _spans(model: Model, windows: Sequence[_Window], columns: Sequence[int], restricted: bool) -> list[Span]:
    if not windows:
        return []
    said = normalised(np.stack([window.said for window in windows])[:, list(columns)])
    spans = []
    for _, group in itertools.groupby(zip(_path(said), windows, strict=True), key=lambda pair: pair[0]):
        stretch = [window for _, window in group]
        heard = Heard(
            np.stack([window.said for window in stretch]), np.array([window.speech_s for window in stretch])
        )
        language, probability = next(iter(shares(model, heard, columns).items()))
        known = restricted or model.calibration.accepts(heard)
        spans.append(
            Span(
                stretch[0].begin_s,
                stretch[-1].end_s,
                language if known else None,
                probability,
                float(heard.weights.sum()),
            )
        )
    return spans


def _path(said: np.ndarray) -> list[int]:
    """Return the likeliest column of each window, where a change costs ``CHANGE``.

    Args:
        said: log-probabilities, shape ``(windows, languages)``.
    """
    best = said[0]
    came_from = []
    for row in said[1:]:
        stay, change = best, best.max() - CHANGE
        came_from.append(np.where(stay >= change, np.arange(len(best)), int(best.argmax())))
        best = np.maximum(stay, change) + row
    path = [int(best.argmax())]
    for origin in reversed(came_from):
        path.append(int(origin[path[-1]]))
    return path[::-1]
