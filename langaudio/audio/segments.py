"""The speech of a recording, cut out of it as it comes: flat in memory, however long it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from langaudio.audio.decode import SAMPLE_RATE
from langaudio.audio.speech import MAX_REGION_S, MAX_SEGMENT_S, Region, regions_of, segments_of


@dataclass(frozen=True)
class Segment:
    """A segment of speech.

    Attributes:
        begin_s: where it begins in the recording, in seconds.
        end_s: where it ends.
        samples: mono at ``SAMPLE_RATE``, float32, shape ``(samples,)``.
    """

    begin_s: float
    end_s: float
    samples: np.ndarray

    @property
    def seconds(self) -> float:
        return self.end_s - self.begin_s


def speech_in(blocks: Iterable[np.ndarray]) -> Iterator[Segment]:
    """Yield the segments of speech of a recording that comes in blocks; see ``speech_segments``.

    Args:
        blocks: mono at ``SAMPLE_RATE``, float32, shape ``(samples,)`` each, for example ``decode_blocks``.
    """
    tape = _Tape(blocks)
    # A segment ends with the newest region or with the one before: later ones could not be joined to it.
    held: deque[tuple[float, np.ndarray]] = deque(maxlen=2)

    def noted() -> Iterator[Region]:
        for begin, end in regions_of(tape):
            first = max(0.0, begin - MAX_SEGMENT_S)
            held.append((first, tape.cut(first, end)))
            yield begin, end

    for begin, end in segments_of(noted()):
        first, samples = next(one for one in held if one[0] + len(one[1]) / SAMPLE_RATE > end - 1e-3)
        offset = round(first * SAMPLE_RATE)
        cut = samples[round(begin * SAMPLE_RATE) - offset : round(end * SAMPLE_RATE) - offset]
        yield Segment(begin, end, cut)


class _Tape:
    """Passes blocks on, and remembers those that a region may still reach back to."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = blocks
        self._kept: deque[np.ndarray] = deque()
        self._begin = self._end = 0  # of what is kept, in samples

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            reach = self._end - round((MAX_REGION_S + MAX_SEGMENT_S + 1) * SAMPLE_RATE)
            while self._kept and self._begin + len(self._kept[0]) <= reach:
                self._begin += len(self._kept.popleft())
            self._kept.append(block)
            self._end += len(block)
            yield block

    def cut(self, begin_s: float, end_s: float) -> np.ndarray:
        samples = np.concatenate(self._kept)
        return samples[round(begin_s * SAMPLE_RATE) - self._begin : round(end_s * SAMPLE_RATE) - self._begin]
