"""The fingerprint finds a recording again that was encoded anew, and no other."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import soxr

from langaudio.audio import SAMPLE_RATE, decode, fingerprint, matches


def encoded(samples: np.ndarray, rate: int, container: str, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    again = soxr.resample(samples, SAMPLE_RATE, rate)
    soundfile.write(buffer, again, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("gain", "rate", "container", "subtype"),
    [(1.0, 44_100, "MP3", None), (0.3, 48_000, "OGG", "OPUS"), (0.5, 22_050, "OGG", "VORBIS")],
)
def test_a_recording_is_found_again(
    spoken: bytes, also_spoken: bytes, gain: float, rate: int, container: str, subtype: str | None
) -> None:
    first, other = decode(spoken).samples, decode(also_spoken).samples
    again = decode(encoded(gain * first, rate, container, subtype)).samples
    known = [fingerprint(other), fingerprint(first)]
    assert list(matches([fingerprint(again)], known)) == [(0, 1)]


def test_nothing_is_like_what_is_too_short_to_tell() -> None:
    assert fingerprint(np.ones(1000, np.float32)) == b""
    assert list(matches([b""], [b""])) == []
    assert list(matches([], [])) == []
