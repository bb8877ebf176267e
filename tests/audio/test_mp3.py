from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from langaudio.audio import mp3


@pytest.mark.parametrize(
    ("sample_rate", "channels", "kbps"),
    [(48_000, 2, 128), (44_100, 1, 96), (32_000, 1, 48), (22_050, 1, 56), (16_000, 2, 64), (8_000, 1, 24)],
)
def test_a_file_has_the_bitrate_rate_channels_and_length_that_were_asked_for(
    sample_rate: int, channels: int, kbps: int
) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, (3 * sample_rate, channels))
    data = mp3.encode(samples, sample_rate, kbps)
    info = soundfile.info(io.BytesIO(data))
    assert (info.format, info.samplerate, info.channels, info.frames) == (
        "MP3",
        sample_rate,
        channels,
        len(samples),
    )
    assert len(data) * 8 / 3 / 1000 == pytest.approx(kbps, rel=0.1)


def test_a_tone_survives_and_what_exceeds_full_scale_is_clipped() -> None:
    time_s = np.arange(32_000) / 16_000
    data = mp3.encode(3 * np.sin(2 * np.pi * 500 * time_s), 16_000, 64)
    decoded, _ = soundfile.read(io.BytesIO(data))
    assert np.abs(np.fft.rfft(decoded)).argmax() == 500 * 2
    assert np.abs(decoded).max() < 1.3


def test_a_rate_that_mp3_does_not_know_is_refused() -> None:
    with pytest.raises(soundfile.LibsndfileError):
        mp3.encode(np.zeros(96_000), 96_000, 64)
