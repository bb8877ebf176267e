"""What decodes, and what is refused with its reason."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from langaudio.audio import NotAudio, decode

RATE = 22_050
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)

KINDS = {
    "mp3": ("MP3", None),
    "flac": ("FLAC", None),
    "wav": ("WAV", None),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}


def encoded(kind: str, samples: np.ndarray = TONE, rate: int = 24_000) -> bytes:
    buffer = io.BytesIO()
    container, subtype = KINDS[kind]
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_every_common_format_decodes_and_is_told_from_its_bytes(kind: str) -> None:
    decoded = decode(encoded(kind))
    assert decoded.format == kind
    assert decoded.samples.dtype == np.float32
    assert decoded.sample_rate in (24_000, 48_000)  # Opus always decodes at 48 kHz, or at what it was made of
    assert decoded.duration_s == pytest.approx(len(TONE) / 24_000, abs=0.1)
    assert np.abs(decoded.samples).max() == pytest.approx(0.5, abs=0.1)


def test_channels_come_first() -> None:
    stereo = np.stack([TONE, -TONE], axis=1)
    decoded = decode(encoded("flac", stereo))
    assert decoded.samples.shape == (2, len(TONE))
    assert decoded.channels == 2
    np.testing.assert_allclose(decoded.samples[0], -decoded.samples[1])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not decode"),
        (b"The recording follows.", "does not decode"),
        (b"<html><body>404</body></html>" * 50, "does not decode"),
        (encoded("wav", np.zeros(0)), "no samples"),
        (encoded("wav", np.zeros((100, 17))), "17 channels; at most 16"),
        (encoded("mp3")[:2000], "cut off"),
    ],
)
def test_what_is_no_whole_recording_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(NotAudio, match=reason):
        decode(data)
