"""Where in a recording somebody speaks: Silero VAD, run by ONNX Runtime on one thread.

All windows of a block go through one call, and the state goes on from block to block, so that a recording
of any length is heard in little memory. ``silero_vad.onnx`` is made by ``langaudio.audio.silero``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime

from langaudio.audio.decode import SAMPLE_RATE

MODEL = Path(__file__).with_name("silero_vad.onnx")

_WINDOW = 512  # samples a step: 32 ms
_CONTEXT = 64  # samples of the step before, which the model wants in front of each window
_FRAME, _HOP = 256, 128

_START, _STOP = 0.5, 0.35  # probability that begins a region, and that ends it
_MAX_PAUSE_S = 0.3  # a shorter pause does not end a region
_MIN_REGION_S = 0.1  # a shorter region is a click
_PAD_S = 0.05  # kept on both sides, so that soft onsets survive

MAX_REGION_S = 30.0
"""Seconds: a region that goes on is cut, so that nobody has to keep it in memory to its end."""

MAX_SEGMENT_S, MIN_SEGMENT_S = 10.0, 1.0
"""Seconds: the longest segment of speech, and the shortest that a language can be told by."""

Region = tuple[float, float]
"""Begin and end, in seconds."""


def speech_regions(samples: np.ndarray) -> list[Region]:
    """Return the stretches of speech, in order, apart from each other.

    Args:
        samples: mono at ``SAMPLE_RATE``, float32, shape ``(samples,)``.
    """
    return list(regions_of([samples]))


def regions_of(blocks: Iterable[np.ndarray]) -> Iterator[Region]:
    """Yield the stretches of speech of a recording that comes in blocks, each as soon as it has ended.

    However the recording is cut into blocks, the stretches are the same.

    Args:
        blocks: mono at ``SAMPLE_RATE``, float32, shape ``(samples,)`` each.
    """
    detector = _Detector()
    for begin, end in _regions(itertools.chain.from_iterable(map(detector.hear, blocks))):
        yield max(0.0, begin), min(detector.samples / SAMPLE_RATE, end)


def in_samples(regions: Iterable[Region]) -> list[int]:
    """Return begin and end of each region in samples, one after the other, as the catalog has them."""
    return [round(edge * SAMPLE_RATE) for region in regions for edge in region]


def from_samples(edges: Sequence[int]) -> list[Region]:
    """Return the regions that ``in_samples`` turned into this."""
    return [
        (begin / SAMPLE_RATE, end / SAMPLE_RATE) for begin, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def speech_segments(
    regions: Iterable[Region], max_segment_s: float = MAX_SEGMENT_S, min_segment_s: float = MIN_SEGMENT_S
) -> list[Region]:
    """Join neighbouring regions into segments, and cut what is too long into equal pieces.

    Args:
        regions: what ``speech_regions`` found.
        max_segment_s: no segment is longer; a pause is kept inside a segment where both sides fit.
        min_segment_s: shorter segments are left out: too little to tell a language by.
    """
    return list(segments_of(regions, max_segment_s, min_segment_s))


def segments_of(
    regions: Iterable[Region], max_segment_s: float = MAX_SEGMENT_S, min_segment_s: float = MIN_SEGMENT_S
) -> Iterator[Region]:
    """Yield what ``speech_segments`` returns, each segment as soon as nothing can be joined to it."""
    last: Region | None = None
    for begin, end in regions:
        if last is not None and end - last[0] <= max_segment_s:
            last = last[0], end
            continue
        edges = np.linspace(begin, end, int(np.ceil((end - begin) / max_segment_s)) + 1).tolist()
        *whole, newest = itertools.pairwise(edges)
        if last is not None:
            whole.insert(0, last)
        yield from (one for one in whole if one[1] - one[0] >= min_segment_s)
        last = newest
    if last is not None and last[1] - last[0] >= min_segment_s:
        yield last


def _regions(probabilities: Iterable[float]) -> Iterator[Region]:
    """Yield regions with what is kept on both sides of them, which may lie outside the recording."""
    step = _WINDOW / SAMPLE_RATE
    begin = end = now = 0.0
    inside = speaking = False
    before = _PAD_S
    for probability in probabilities:
        now += step
        speaking = probability >= (_STOP if speaking else _START)
        if speaking:
            if not inside:
                inside, begin, before = True, now - step, _PAD_S
            end = now
            if end - begin >= MAX_REGION_S:
                yield begin - before, end
                begin, before = end, 0.0
        elif inside and now - end >= _MAX_PAUSE_S:
            inside = False
            if end - begin >= _MIN_REGION_S:
                yield begin - before, end + _PAD_S
    if inside and end - begin >= _MIN_REGION_S:
        yield begin - before, end + _PAD_S


class _Detector:
    """Silero VAD, with its memory of what it has heard.

    Attributes:
        samples: number of samples that were heard.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._unheard = np.zeros(_CONTEXT, np.float32)  # the context, and what is no whole window yet
        self._h = self._c = np.zeros((1, 1, 128), np.float32)

    def hear(self, block: np.ndarray) -> list[float]:
        """Return the probability of speech for each window that the block completes."""
        self.samples += len(block)
        samples = np.concatenate([self._unheard, block])
        steps = (len(samples) - _CONTEXT) // _WINDOW
        self._unheard = samples[steps * _WINDOW :]
        if steps == 0:
            return []
        windows = np.lib.stride_tricks.sliding_window_view(samples, _CONTEXT + _WINDOW)[::_WINDOW]
        reflected = windows[:, -2 : -2 - _CONTEXT : -1]
        frames = np.lib.stride_tricks.sliding_window_view(
            np.concatenate([windows, reflected], axis=1), _FRAME, axis=1
        )[:, ::_HOP]
        answer, self._h, self._c = _model().run(
            ["speech", "hn", "cn"], {"frames": frames.reshape(-1, _FRAME), "h": self._h, "c": self._c}
        )
        probabilities: list[float] = answer.tolist()
        return probabilities


@lru_cache(maxsize=1)
def _model() -> onnxruntime.InferenceSession:
    return onnx_session(MODEL)


def onnx_session(model: Path) -> onnxruntime.InferenceSession:
    """Load a network to be run on one thread of the CPU: a clip is too short to be worth more of them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
