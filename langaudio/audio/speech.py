"""Where in a recording somebody speaks: Silero VAD, run by ONNX Runtime on one thread.

The model is the sequence variant that the ``silero-vad`` wheel carries: all windows of a recording go
through one call. The package itself is not imported, because it imports torch.
"""

from __future__ import annotations

import importlib.util
import itertools
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime

from langaudio.audio.decode import SAMPLE_RATE

_WINDOW = 512  # samples a step: 32 ms
_CONTEXT = 64  # samples of the step before, which the model wants in front of each window

_START, _STOP = 0.5, 0.35  # probability that begins a region, and that ends it
_MAX_PAUSE_S = 0.3  # a shorter pause does not end a region
_MIN_REGION_S = 0.1  # a shorter region is a click
_PAD_S = 0.05  # kept on both sides, so that soft onsets survive

Region = tuple[float, float]
"""Begin and end, in seconds."""


def speech_regions(samples: np.ndarray) -> list[Region]:
    """Return the stretches of speech, in order, apart from each other.

    Args:
        samples: mono at ``SAMPLE_RATE``, float32, shape ``(samples,)``.
    """
    duration_s = len(samples) / SAMPLE_RATE
    regions: list[list[float]] = []
    speaking = False
    for step, probability in enumerate(_speech_probabilities(samples)):
        begin, end = step * _WINDOW / SAMPLE_RATE, (step + 1) * _WINDOW / SAMPLE_RATE
        if probability < (_STOP if speaking else _START):
            speaking = False
        elif speaking or (regions and begin - regions[-1][1] < _MAX_PAUSE_S):
            speaking, regions[-1][1] = True, end
        else:
            speaking = True
            regions.append([begin, end])
    return [
        (max(0.0, begin - _PAD_S), min(duration_s, end + _PAD_S))
        for begin, end in regions
        if end - begin >= _MIN_REGION_S
    ]


def speech_segments(
    regions: list[Region], max_segment_s: float = 10.0, min_segment_s: float = 1.0
) -> list[Region]:
    """Join neighbouring regions into segments, and cut what is too long into equal pieces.

    Args:
        regions: what ``speech_regions`` found.
        max_segment_s: no segment is longer; a pause is kept inside a segment where both sides fit.
        min_segment_s: shorter segments are left out: too little to tell a language by.
    """
    segments: list[Region] = []
    for begin, end in regions:
        if segments and end - segments[-1][0] <= max_segment_s:
            segments[-1] = (segments[-1][0], end)
            continue
        pieces = int(np.ceil((end - begin) / max_segment_s))
        edges = np.linspace(begin, end, pieces + 1).tolist()
        segments.extend(itertools.pairwise(edges))
    return [(begin, end) for begin, end in segments if end - begin >= min_segment_s]


def _speech_probabilities(samples: np.ndarray) -> np.ndarray:
    steps = len(samples) // _WINDOW
    if steps == 0:
        return np.zeros(0, np.float32)
    padded = np.concatenate([np.zeros(_CONTEXT, np.float32), samples[: steps * _WINDOW]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, _CONTEXT + _WINDOW)[::_WINDOW]
    state = np.zeros((1, 1, 128), np.float32)
    probabilities: np.ndarray = _model().run(
        ["speech_probs"], {"input": np.ascontiguousarray(windows), "h": state, "c": state}
    )[0]
    return probabilities


@lru_cache(maxsize=1)
def _model() -> onnxruntime.InferenceSession:
    package = importlib.util.find_spec("silero_vad")
    assert package is not None
    assert package.origin is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        Path(package.origin).parent / "data" / "silero_vad_16k_sequence.onnx",
        options,
        providers=["CPUExecutionProvider"],
    )
