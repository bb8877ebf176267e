"""Made-up languages, each babbled with two vowels of its own: speech to the detector, learned in seconds.

A corpus of them lies in a real bucket as the stages leave it: recordings, catalog, and shards.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.signal

from langaudio import audio, catalog
from langaudio.augment.stage import INDEX_SCHEMA
from langaudio.store import Store, keys

RECIPE = "0123456789ab"

_FORMANTS = {  # Hz
    "fr": [(300, 2300, 3000), (280, 2100, 2900)],
    "de": [(750, 1200, 2500), (700, 1100, 2400)],
    "it": [(320, 800, 2300), (350, 700, 2200)],
}


def babble(language: str, seed: int, seconds: float = 3.0) -> np.ndarray:
    """Return a voice that says syllables of the language's vowels; float32 at 16 kHz."""
    rng = np.random.default_rng(seed)
    pitch = rng.uniform(95, 220)
    syllables: list[np.ndarray] = []
    while sum(map(len, syllables)) < seconds * audio.SAMPLE_RATE:
        length = int(rng.uniform(0.12, 0.24) * audio.SAMPLE_RATE)
        glide = pitch * (1 + 0.15 * np.sin(np.linspace(0, rng.uniform(1, 3), length)))
        phase = np.cumsum(glide / audio.SAMPLE_RATE)
        voiced = 2 * (phase % 1) - 1 + 0.05 * rng.standard_normal(length)
        for formant in _FORMANTS[language][rng.integers(2)]:
            centre = formant * rng.uniform(0.95, 1.05)
            b, a = scipy.signal.iirpeak(centre, centre / 110, fs=audio.SAMPLE_RATE)
            voiced = voiced + 4 * scipy.signal.lfilter(b, a, voiced)
        syllables.append(voiced / np.abs(voiced).max() * np.hanning(length) ** 0.5)
    spoken = np.concatenate(syllables)[: int(seconds * audio.SAMPLE_RATE)]
    return (0.5 * spoken + 0.001 * rng.standard_normal(len(spoken))).astype(np.float32)
