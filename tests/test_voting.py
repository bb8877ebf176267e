"""Windows over a segment, and how they vote."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langaudio.audio import SAMPLE_RATE
from langaudio.voting import WINDOW_S, normalised, vote, window_begins, windows


@given(st.integers(1, 20 * SAMPLE_RATE), st.floats(0.5, 5))
def test_windows_cover_a_segment_from_end_to_end(samples: int, window_s: float) -> None:
    begins, size = window_begins(samples, window_s), min(samples, round(window_s * SAMPLE_RATE))
    assert (begins[0], begins[-1]) == (0, samples - size)
    assert all(0 <= later - earlier <= size for earlier, later in itertools.pairwise(begins))
    assert (len(begins) - 1) * size < samples  # none too many


def test_windows_are_cut_where_they_begin() -> None:
    segment = np.arange(8 * SAMPLE_RATE, dtype=np.float32)
    cut = windows(segment)
    assert cut.shape == (2, round(WINDOW_S * SAMPLE_RATE))
    assert cut[:, 0].tolist() == window_begins(len(segment))
    assert cut[-1, -1] == segment[-1]
    assert windows(segment[:100]).shape == (1, 100)


def test_a_vote_is_the_weighted_mean_that_sums_to_one() -> None:
    said = np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    answer = vote(said, np.array([3.0, 1.0]))
    assert np.exp(answer).sum() == pytest.approx(1)
    assert answer[0] - answer[2] == pytest.approx((3 * np.log(0.5 / 0.2) + np.log(0.1 / 0.8)) / 4)


def test_what_is_very_unlikely_is_still_finite() -> None:
    assert np.isfinite(normalised(np.array([-1e4, -2e4]))).all()
