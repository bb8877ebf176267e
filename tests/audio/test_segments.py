"""Speech cut out of a recording as it comes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from langaudio.audio import SAMPLE_RATE, decode, speech_in, speech_regions, speech_segments


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


@pytest.fixture
def recording(spoken: bytes, also_spoken: bytes) -> np.ndarray:
    """Speech, a pause that joins, one that does not, a long one, and speech without an end."""
    first, second = decode(spoken).samples, decode(also_spoken).samples
    return np.concatenate(
        [first, silence(0.6), second, silence(4), first, silence(75), *[second] * 8, silence(1), first]
    )


@pytest.mark.parametrize("block", [3_000, 160_000, 10**9])
def test_segments_are_those_of_the_whole_recording(recording: np.ndarray, block: int) -> None:
    expected = [
        recording[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        for begin, end in speech_segments(speech_regions(recording))
    ]
    found = list(speech_in(recording[at : at + block] for at in range(0, len(recording), block)))
    assert len(found) == len(expected) > 5
    for segment, samples in zip(found, expected, strict=True):
        np.testing.assert_array_equal(segment.samples, samples)
        assert segment.seconds == pytest.approx(len(samples) / SAMPLE_RATE, abs=1e-3)


def test_memory_is_flat_however_long_the_recording(spoken: bytes) -> None:
    speech = decode(spoken).samples
    minute = np.concatenate([speech, silence(60)])[: 60 * SAMPLE_RATE]

    def peak(minutes: int) -> int:
        def blocks() -> Iterator[np.ndarray]:
            for _ in range(minutes):
                yield minute.copy()

        tracemalloc.start()
        assert sum(1 for _ in speech_in(blocks())) >= minutes
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(20) < 1.2 * peak(4)


def test_nothing_comes_of_nothing() -> None:
    assert list(speech_in([])) == []
    assert list(speech_in([silence(3)])) == []
