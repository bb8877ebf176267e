"""How a clip is heard: through windows, whose votes make one answer.

Training hears its dev clips so, and so does whoever serves the network.
"""

from __future__ import annotations

import math

import numpy as np

from langaudio.audio import SAMPLE_RATE

WINDOW_S = 5.0
"""Seconds: the length of the windows."""


def window_begins(samples: int, window_s: float = WINDOW_S) -> list[int]:
    """Return where the windows begin that cover a segment at even distances.

    A segment that is shorter than a window is a window by itself.

    >>> window_begins(7 * SAMPLE_RATE)
    [0, 32000]
    """
    size = min(samples, round(window_s * SAMPLE_RATE))
    number = math.ceil(samples / size)
    return [(samples - size) * i // max(1, number - 1) for i in range(number)]


def windows(segment: np.ndarray, window_s: float = WINDOW_S) -> np.ndarray:
    """Shape: ``(samples,)`` → ``(windows, samples of a window)``."""
    size = min(len(segment), round(window_s * SAMPLE_RATE))
    return np.stack([segment[begin : begin + size] for begin in window_begins(len(segment), window_s)])


def vote(log_probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the answer that windows give together: their weighted mean, so normalised that it sums to one.

    Args:
        log_probabilities: of each window, shape ``(windows, languages)``.
        weights: how much each counts, for example the seconds of speech it stands for, shape ``(windows,)``.

    Shape: → ``(languages,)``.
    """
    mean: np.ndarray = weights @ log_probabilities / weights.sum()
    return normalised(mean)


def normalised(log_probabilities: np.ndarray) -> np.ndarray:
    """Return the same, so shifted that the probabilities along the last axis sum to one."""
    top = log_probabilities.max(axis=-1, keepdims=True)
    total: np.ndarray = np.log(np.exp(log_probabilities - top).sum(axis=-1, keepdims=True))
    shifted: np.ndarray = log_probabilities - top - total
    return shifted
