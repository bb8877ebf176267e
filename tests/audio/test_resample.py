"""One rate, one channel."""

from __future__ import annotations

import numpy as np
import pytest

from langaudio.audio import SAMPLE_RATE, Audio, to_speech_rate


def tone(frequency: float, rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(rate) / rate).astype(np.float32)[None]


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_its_level_and_its_length(rate: int) -> None:
    resampled = to_speech_rate(Audio(tone(1_000, rate), rate, "wav"))
    assert resampled.dtype == np.float32
    assert len(resampled) == pytest.approx(SAMPLE_RATE, abs=1)
    spectrum = np.abs(np.fft.rfft(resampled[:SAMPLE_RATE]))
    assert spectrum.argmax() == pytest.approx(1_000, abs=1)
    assert np.sqrt((resampled**2).mean()) == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_what_is_too_high_for_the_rate_is_gone() -> None:
    resampled = to_speech_rate(Audio(tone(12_000, 48_000), 48_000, "wav"))
    assert np.abs(resampled[500:-500]).max() < 1e-3


def test_channels_are_averaged() -> None:
    both = np.concatenate([tone(500, SAMPLE_RATE), -tone(500, SAMPLE_RATE)])
    assert not to_speech_rate(Audio(both, SAMPLE_RATE, "wav")).any()
