"""An acoustic fingerprint: recordings that sound the same share it, however they are encoded.

A word is 24 signs of how energy differs between neighbouring bands and frames (Haitsma and Kalker, "A
Highly Robust Audio Fingerprinting System", ISMIR 2002). Of a recording's words the smallest by a hash are
kept, as in MinHash (Broder, 1997), so two recordings are compared without being aligned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import soxr

from langaudio.audio.decode import SAMPLE_RATE

_RATE = 5_512  # Hz
_WINDOW, _HOP = 2_048, 64  # samples: 370 ms and 12 ms, so that it matters little where a frame begins
_BITS = 24
_EDGES = np.round(np.geomspace(300, 2_000, _BITS + 2) * _WINDOW / _RATE).astype(int)  # of bands, in bins
_KEPT = 64
_FRAMES_AT_ONCE = 2_048

MATCH = 6
"""Words that two recordings share if they are the same. Of 110 recordings no two others shared more than one,
and each shared eleven or more with itself as MP3 of 48 kbit/s."""


def fingerprint(samples: np.ndarray) -> bytes:
    """Return at most 64 words, the smallest by their hash, as 32-bit integers.

    Args:
        samples: mono at ``SAMPLE_RATE``, float32, shape ``(samples,)``.
    """
    slow = soxr.resample(samples, SAMPLE_RATE, _RATE, quality="LQ")
    if len(slow) < 2 * _WINDOW:
        return b""
    windows = np.lib.stride_tricks.sliding_window_view(slow, _WINDOW)[::_HOP]
    taper = np.hanning(_WINDOW).astype(np.float32)
    bands = np.concatenate(
        [
            np.add.reduceat(np.abs(np.fft.rfft(windows[at : at + _FRAMES_AT_ONCE] * taper)) ** 2, _EDGES, 1)
            for at in range(0, len(windows), _FRAMES_AT_ONCE)
        ]
    )[:, : _BITS + 1]
    bits = np.diff(np.diff(bands, axis=1), axis=0) > 0
    words = bits @ (1 << np.arange(_BITS))
    # Quiet frames are alike in all recordings.
    loudness = bands.sum(axis=1)[1:]
    return _smallest(words[loudness > 1e-2 * np.median(loudness)]).tobytes()


def matches(wanted: Sequence[bytes], known: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Yield ``(i, k)`` where the wanted fingerprint ``i`` is of the same recording as the known one ``k``."""
    theirs = [np.frombuffer(words, "<u4") for words in known]
    if not theirs or not wanted:
        return
    every = np.concatenate(theirs)
    owner = np.repeat(np.arange(len(theirs)), [len(words) for words in theirs])
    order = np.argsort(every, kind="stable")
    every, owner = every[order], owner[order]
    for number, words in enumerate(wanted):
        ours = np.frombuffer(words, "<u4")
        begins, ends = np.searchsorted(every, ours), np.searchsorted(every, ours, side="right")
        shared: Counter[int] = Counter()
        for begin, end in zip(begins, ends, strict=True):
            shared.update(owner[begin:end].tolist())
        yield from ((number, other) for other, count in sorted(shared.items()) if count >= MATCH)


def _smallest(words: np.ndarray) -> np.ndarray:
    hashed = np.unique(words.astype(np.uint64) * np.uint64(0x9E3779B1) & np.uint64(0xFFFFFFFF))
    smallest: np.ndarray = hashed[:_KEPT].astype("<u4")
    return smallest
