"""Bring audio to the one rate at which speech is segmented, augmented, learned and identified."""

from __future__ import annotations

import numpy as np
import soxr

from langaudio.audio.decode import Audio

SAMPLE_RATE = 16_000
"""Hz."""


def to_speech_rate(audio: Audio) -> np.ndarray:
    """Mix down to mono and resample to ``SAMPLE_RATE``.

    Shape: ``(channels, samples)`` → ``(samples,)``, float32.
    """
    mono = audio.samples[0] if audio.channels == 1 else audio.samples.mean(axis=0)
    if audio.sample_rate == SAMPLE_RATE:
        return mono
    resampled: np.ndarray = soxr.resample(mono, audio.sample_rate, SAMPLE_RATE, quality="HQ")
    return resampled
