"""What decodes, and what is refused with its reason."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from langaudio.audio import SAMPLE_RATE, NotAudio, TooLong, UnusableRate, decode, decode_blocks

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


def test_channels_are_averaged() -> None:
    decoded = decode(encoded("flac", np.stack([TONE, -TONE], axis=1)))
    assert decoded.channels == 2
    assert not decoded.samples.any()


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 192_000])
def test_a_tone_keeps_its_pitch_its_level_and_its_length(rate: int) -> None:
    tone = 0.9 * np.sin(2 * np.pi * 1_000 * np.arange(rate) / rate)
    samples = decode(encoded("wav", tone, rate)).samples
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(SAMPLE_RATE, abs=1)
    assert np.abs(np.fft.rfft(samples, SAMPLE_RATE)).argmax() == pytest.approx(1_000, abs=1)
    assert np.sqrt((samples**2).mean()) == pytest.approx(0.9 * np.sqrt(0.5), rel=0.01)


def test_what_is_too_high_for_the_rate_is_gone() -> None:
    tone = np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000)
    assert np.abs(decode(encoded("wav", tone, 48_000)).samples[500:-500]).max() < 1e-3


def test_a_recording_that_is_too_long_is_given_up() -> None:
    with pytest.raises(TooLong, match=r"longer than 0\.5 s"):
        decode(encoded("flac"), max_s=0.5)


@pytest.mark.parametrize("rate", [1_000, 400_000])
def test_a_rate_that_nobody_speaks_at_is_refused(rate: int) -> None:
    with pytest.raises(UnusableRate, match=f"{rate} Hz"):
        decode(encoded("wav", TONE, rate))


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_read_in_blocks_gives_the_same_samples(kind: str, tmp_path: Path) -> None:
    long = np.tile(TONE, 60)
    data = encoded(kind, long)
    (tmp_path / "a").write_bytes(data)
    for recording in (data, tmp_path / "a"):
        blocks = list(decode_blocks(recording))
        assert len(blocks) > 1
        np.testing.assert_array_equal(np.concatenate(blocks), decode(data).samples)


@pytest.mark.parametrize("content", [b"", b"no audio", encoded("wav")[:-100], encoded("ogg")[:-100]])
def test_a_file_that_is_none_is_refused_from_its_path_too(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(NotAudio):
        list(decode_blocks(tmp_path / "a"))
