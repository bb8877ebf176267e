"""Encode speech for the shards."""

from __future__ import annotations

import io

import numpy as np
import soundfile

_FULL_SCALE = 2**15
_LEVEL = 3 / 8  # of libsndfile's scale, which is a share of libFLAC's


def to_flac(samples: np.ndarray, sample_rate: int) -> bytes:
    """Encode mono float32 as 16-bit FLAC; the same samples always give the same bytes.

    The level of compression is libFLAC's 3: a little faster than its own, 5, and larger by a hundredth. What
    the others cost stands in benchmarks/results/augment.md.

    Shape: ``(samples,)``. What lies beyond full scale is clipped.
    """
    # libsndfile does the same, and takes longer.
    scaled = np.rint(samples * np.float32(_FULL_SCALE))
    np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1, out=scaled)
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        scaled.astype(np.int16),
        sample_rate,
        format="FLAC",
        subtype="PCM_16",
        compression_level=_LEVEL,
    )
    return buffer.getvalue()
