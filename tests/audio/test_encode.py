"""FLAC keeps what 16 bits can hold, and always the same bytes."""

from __future__ import annotations

import numpy as np

from langaudio.audio import decode, to_flac


def test_flac_gives_the_samples_back() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32)
    decoded = decode(to_flac(samples, 16_000))
    assert (decoded.sample_rate, decoded.format) == (16_000, "flac")
    assert np.abs(decoded.samples - samples).max() <= 2**-15


def test_what_is_too_loud_is_clipped_not_wrapped() -> None:
    decoded = decode(to_flac(np.array([1.5, -1.5] * 100, np.float32), 16_000))
    assert decoded.samples[0] > 0.99
    assert decoded.samples[1] < -0.99


def test_the_same_samples_give_the_same_bytes() -> None:
    samples = np.linspace(-1, 1, 5_000, dtype=np.float32)
    assert to_flac(samples, 16_000) == to_flac(samples.copy(), 16_000)
