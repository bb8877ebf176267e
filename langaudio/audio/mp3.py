"""Encode MP3 at a constant bitrate; the same samples always give the same bytes."""

from __future__ import annotations

import io

import numpy as np
import soundfile


def encode(samples: np.ndarray, sample_rate: int, kbps: float) -> bytes:
    """Encode with LAME.

    Args:
        samples: shape ``(samples,)`` or ``(samples, channels)`` with one or two channels; what lies beyond
            ±1 is clipped.
        sample_rate: one that MP3 knows: 8, 11.025 or 12 kHz, times 1, 2 or 4.
        kbps: kbit/s; LAME takes the nearest bitrate that MP3 allows at this sample rate.

    Raises:
        soundfile.LibsndfileError: MP3 does not allow this sample rate.
    """
    lowest, highest = _bitrates(sample_rate)
    level = float(np.clip((highest - kbps) / (highest - lowest), 0.0, 0.99))
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        np.clip(samples, -1.0, 1.0),
        sample_rate,
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=level,
    )
    return buffer.getvalue()


def _bitrates(sample_rate: int) -> tuple[int, int]:
    """The lowest and highest kbit/s of MPEG-1, MPEG-2 and MPEG-2.5 Layer III; the rate decides which."""
    if sample_rate >= 32_000:
        return 32, 320
    return (8, 160) if sample_rate >= 16_000 else (8, 64)
