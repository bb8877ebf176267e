"""Encode speech for the shards."""

from __future__ import annotations

import io

import numpy as np
import soundfile


def to_flac(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encode mono float32 as 16-bit FLAC; the same samples always give the same bytes.

    Shape: ``(samples,)``. What lies beyond full scale is clipped.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
