"""Where there is speech, and how it is cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langaudio.audio import SAMPLE_RATE, decode, speech_regions, speech_segments


def test_speech_between_silences_is_found_where_it_is(spoken: bytes) -> None:
    speech = decode(spoken).samples
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    regions = speech_regions(np.concatenate([silence, speech, silence]))
    assert regions[0][0] == pytest.approx(2, abs=0.4)
    assert regions[-1][1] == pytest.approx(2 + len(speech) / SAMPLE_RATE, abs=0.6)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3 * SAMPLE_RATE, np.float32),
        np.zeros(0, np.float32),
        np.zeros(100, np.float32),
        0.1 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE).astype(np.float32),
        np.sin(2 * np.pi * 440 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32),
    ],
    ids=["silence", "nothing", "a few samples", "noise", "a tone"],
)
def test_what_nobody_says_is_no_speech(samples: np.ndarray) -> None:
    assert sum(end - begin for begin, end in speech_regions(samples)) < 0.3


@given(
    st.lists(
        st.tuples(st.floats(0.01, 5), st.floats(0.11, 40)), max_size=20
    )  # a pause and the speech after it, in seconds
)
def test_segments_lie_in_order_within_bounds_and_lose_only_what_is_short(
    spoken_at: list[tuple[float, float]],
) -> None:
    regions, now = [], 0.0
    for pause, speech in spoken_at:
        regions.append((now + pause, now + pause + speech))
        now += pause + speech
    segments = speech_segments(regions)
    assert all(1.0 <= end - begin <= 10.0 + 1e-9 for begin, end in segments)
    assert all(first[1] <= second[0] + 1e-9 for first, second in itertools.pairwise(segments))
    for begin, end in regions:
        if end - begin >= 10.0:
            covered = sum(max(0.0, min(end, stop) - max(begin, start)) for start, stop in segments)
            assert covered == pytest.approx(end - begin)
