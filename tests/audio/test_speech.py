"""Where there is speech, and how it is cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langaudio.audio import (
    SAMPLE_RATE,
    decode,
    from_samples,
    in_samples,
    regions_of,
    segments_of,
    speech_regions,
    speech_segments,
)


def test_speech_between_silences_is_found_where_it_is(spoken: bytes) -> None:
    speech = decode(spoken).samples
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    regions = speech_regions(np.concatenate([silence, speech, silence]))
    assert regions[0][0] == pytest.approx(2, abs=0.4)
    assert regions[-1][1] == pytest.approx(2 + len(speech) / SAMPLE_RATE, abs=0.6)


def seconds(number: float) -> np.ndarray:
    return np.arange(round(number * SAMPLE_RATE)) / SAMPLE_RATE


def noise(slope: float) -> np.ndarray:
    """Noise whose power falls with frequency by 3 dB an octave for each unit of the slope."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(10 * SAMPLE_RATE))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    coloured = np.fft.irfft(spectrum)
    return 0.1 * coloured / coloured.std()


def note(frequency: float, length_s: float = 0.5) -> np.ndarray:
    """A plucked string: harmonics that die away, the high ones first, with a little vibrato."""
    at = seconds(length_s)
    phase = 2 * np.pi * frequency * at + 0.3 * np.sin(2 * np.pi * 5 * at)
    return sum(np.sin(k * phase) / k * np.exp(-at * (2 + k)) for k in range(1, 12))


def music() -> np.ndarray:
    """Ten seconds of a melody over chords, with a drum on every beat."""
    melody = np.concatenate([note(220 * 2 ** (step / 12)) for step in (0, 4, 7, 12, 11, 7, 4, 2) * 3][:20])
    chords = np.concatenate(
        [sum(note(110 * 2 ** (s / 12), 1.0) for s in chord) for chord in ((0, 4, 7), (5, 9, 12)) * 5]
    )
    beat = seconds(10) % 0.5
    drums = np.random.default_rng(0).standard_normal(len(beat)) * np.exp(-beat * 40)
    return 0.1 * (melody + chords + drums)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3 * SAMPLE_RATE),
        np.zeros(0),
        np.zeros(100),
        *(level * noise(slope) for slope in (0, 1, 2) for level in (0.1, 1, 3)),
        noise(1) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds(10))),
        *(0.3 * np.sin(2 * np.pi * frequency * seconds(10)) for frequency in (50, 440, 3000)),
        0.2 * ((seconds(10) * 130) % 1 - 0.5) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds(10))),
        0.3 * np.sin(2 * np.pi * 700 * seconds(10) + 60 * np.sin(np.pi * seconds(10))),
        music(),
    ],
    ids=[
        *("silence", "nothing", "a few samples"),
        *(
            f"{colour} noise, {level}"
            for colour in ("white", "pink", "brown")
            for level in ("low", "mid", "high")
        ),
        *("noise that comes and goes four times a second", "a hum", "a tone", "a whistle"),
        *("a buzz that comes and goes four times a second", "a siren", "music"),
    ],
)
def test_what_nobody_says_is_no_speech(samples: np.ndarray) -> None:
    assert speech_segments(speech_regions(samples.astype(np.float32))) == []


@pytest.mark.parametrize("block", [100, 512, 7_001, 160_000])
def test_speech_is_the_same_however_the_recording_comes_in(spoken: bytes, block: int) -> None:
    samples = decode(spoken).samples
    blocks = (samples[at : at + block] for at in range(0, len(samples), block))
    np.testing.assert_allclose(list(regions_of(blocks)), speech_regions(samples))


def test_a_region_is_told_before_the_recording_ends(spoken: bytes) -> None:
    speech = decode(spoken).samples
    came = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal came
        for _ in range(20):
            came += 1
            yield np.concatenate([speech, np.zeros(SAMPLE_RATE, np.float32)])

    next(segments_of(regions_of(blocks())))
    assert came <= 3


def test_endless_speech_is_cut_and_nothing_of_it_is_lost(spoken: bytes) -> None:
    speech = decode(spoken).samples
    regions = speech_regions(speech)
    begin, end = (round(edge * SAMPLE_RATE) for edge in max(regions, key=lambda one: one[1] - one[0]))
    loud = speech[begin + 1600 : end - 1600]
    regions = speech_regions(np.tile(loud, 100 * SAMPLE_RATE // len(loud)))
    assert max(end - begin for begin, end in regions) <= 30.1
    assert sum(end - begin for begin, end in regions) > 90


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


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.11, 40)), max_size=20))
def test_segments_are_told_as_soon_as_nothing_can_join_them(spoken_at: list[tuple[float, float]]) -> None:
    edges = np.cumsum([length for pair in spoken_at for length in pair]).tolist()
    regions = list(zip(edges[::2], edges[1::2], strict=True))
    taken: list[tuple[float, float]] = []

    def coming() -> Iterator[tuple[float, float]]:
        for region in regions:
            taken.append(region)
            yield region

    for segment in segments_of(coming()):
        assert not taken or taken[-1] == regions[-1] or taken[-1][1] - segment[0] > 10.0


def test_regions_come_back_from_whole_samples(spoken: bytes) -> None:
    regions = speech_regions(decode(spoken).samples)
    edges = in_samples(regions)
    assert regions
    np.testing.assert_allclose(from_samples(edges), regions, atol=0.5 / SAMPLE_RATE)
    assert in_samples(from_samples(edges)) == edges
