"""The promises of PitchScale, each measured on signals whose shifted version is known."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt, welch

from langaudio.augment import BadParameter, PitchScale
from tests.augment.signals import cents, level_db, noise, pitch_track, tone, tone_frequency, vowel

shifts = pytest.mark.parametrize("semitones", [-4.0, -2.5, -0.3, 0.3, 1.7, 4.0])


def shift(samples, semitones, sample_rate=16_000):
    return PitchScale.apply(samples, sample_rate, {"semitones": semitones})


@shifts
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("frequency", [80, 137, 220, 440, 1_237, 2_900])
def test_tone_has_the_shifted_pitch_within_5_cents_and_its_level_within_half_a_db(
    frequency, sample_rate, semitones
):
    samples = tone(frequency, 1.5, sample_rate)
    shifted = shift(samples, semitones, sample_rate)
    wanted = frequency * 2 ** (semitones / 12)
    assert abs(cents(tone_frequency(shifted, sample_rate), wanted)) < 2  # 5 are promised
    assert level_db(shifted) == pytest.approx(level_db(samples), abs=0.5)


@pytest.mark.parametrize("semitones", [-12.0, 12.0])
@pytest.mark.parametrize("frequency", [220, 440, 1_237, 2_900])
def test_an_octave_is_right_within_2_cents(frequency, semitones):
    shifted = shift(tone(frequency, 1.5), semitones)
    assert abs(cents(tone_frequency(shifted, 16_000), frequency * 2 ** (semitones / 12))) < 2


@shifts
@pytest.mark.parametrize("pitch", [85, 120, 210, 320])
def test_voice_has_the_pitch_level_and_formants_of_one_that_speaks_so(pitch, semitones):
    samples, wanted = vowel(pitch), vowel(pitch, scale=2 ** (semitones / 12))
    shifted = shift(samples, semitones)

    deviation = np.abs(cents(pitch_track(shifted, 16_000), pitch_track(wanted, 16_000)))
    assert np.percentile(deviation, 95) < 5

    assert level_db(shifted) == pytest.approx(level_db(wanted), abs=0.5)
    ours, theirs = (welch(each, 16_000, nperseg=512)[1] for each in (shifted, wanted))
    heard = theirs > 1e-4 * theirs.max()
    assert np.mean(np.abs(10 * np.log10(ours[heard] / theirs[heard]))) < 0.5


@shifts
@pytest.mark.parametrize("background", ["silence", "hiss", "voice"])
def test_onset_is_played_once_and_smeared_by_less_than_10_ms(background, semitones):
    samples = {"silence": noise(4, amplitude=0), "hiss": noise(4, amplitude=0.002)}.get(
        background, 0.1 * vowel(120, 4)
    )
    clicks = np.cumsum(np.random.default_rng(1).integers(2_000, 2_500, size=26)) + 1_000
    pulse = 0.8 * np.hanning(18)[1:-1] * np.cos(1.5 * np.arange(16))
    for click in clicks:
        samples[click : click + 16] += pulse.astype(np.float32)
    high = sosfilt(butter(4, 2_000, "highpass", fs=16_000, output="sos"), shift(samples, semitones))

    for click in clicks:
        around = np.cumsum(np.square(high[click - 800 : click + 800]))
        begin, middle, end = np.searchsorted(around / around[-1], [0.05, 0.5, 0.95])
        assert end - begin < 160
        assert abs(middle - 800) < 160


@shifts
@pytest.mark.parametrize("length", [320, 321, 1_600, 15_999, 16_000, 16_001])
def test_length_is_the_same_to_the_sample(length, semitones):
    assert shift(tone(200, 1.1)[:length], semitones).shape == (length,)


@pytest.mark.parametrize("semitones", [-4.0, 4.0])
def test_shortest_clip_keeps_its_level_to_its_end(semitones):
    samples = tone(400, 0.02)
    shifted = shift(samples, semitones)
    assert level_db(shifted) == pytest.approx(level_db(samples), abs=0.5)
    assert level_db(shifted[-80:]) == pytest.approx(level_db(samples), abs=1)


@shifts
def test_no_splice_clicks(semitones):
    frequency = 150 * 2 ** (semitones / 12)
    shifted = shift(tone(150, 4), semitones)[400:-400]
    steepest = 0.5 * 2 * np.pi * frequency / 16_000
    assert np.abs(np.diff(shifted)).max() < 1.1 * steepest


def test_nothing_folds_back_at_half_the_sample_rate():
    shifted = shift(tone(7_000, 2), 4.0)[800:-800]  # where a tone begins and ends, it has all frequencies
    assert level_db(shifted) < level_db(tone(7_000, 2)) - 90


def test_channels_stay_aligned():
    voice = vowel(120, 2)
    shifted = shift(np.stack([0.25 * voice, voice, -voice, 0 * voice]), 3.0)
    np.testing.assert_allclose(shifted[0], 0.25 * shifted[1], atol=1e-6)
    np.testing.assert_allclose(shifted[2], -shifted[1], atol=1e-6)
    assert not shifted[3].any()


def test_one_channel_gives_the_same_with_and_without_its_axis():
    voice = vowel(120, 1)
    assert shift(voice[np.newaxis], 2.0)[0].tobytes() == shift(voice, 2.0).tobytes()


def test_no_shift_gives_the_same_samples():
    voice = vowel(120, 1)
    np.testing.assert_allclose(shift(voice, 0.0), voice, atol=1e-6)


def test_semitones_are_drawn_evenly():
    samples, rng = tone(200, 0.02), np.random.default_rng(0)
    drawn = [PitchScale(-2, 4, p=1).draw(rng, samples, 16_000)["semitones"] for _ in range(2_000)]
    counts, _ = np.histogram(drawn, bins=8, range=(-2, 4))
    assert counts.sum() == 2_000
    assert np.all(np.abs(counts - 250) < 60)


@pytest.mark.parametrize("bad", [{"min_semitones": -25}, {"max_semitones": 25}, {"max_semitones": "up"}])
def test_bad_shift_is_refused_with_its_range(bad):
    with pytest.raises(BadParameter, match="from -24 to 24"):
        PitchScale(**bad)


@pytest.mark.parametrize("semitones", [25.0, float("nan"), "1", None])
def test_bad_recorded_shift_is_refused(semitones):
    with pytest.raises(BadParameter, match="semitones="):
        shift(tone(200), semitones)
