import numpy as np
import pytest

from langaudio.augment.stretch import stretch_to
from tests.augment.signals import cents, level_db, noise, tone, tone_frequency, vowel


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.8, 0.99, 1.01, 1.25, 2, 4])
@pytest.mark.parametrize("frequency", [110, 220, 1_237])
def test_duration_changes_and_pitch_and_level_stay(ratio, frequency):
    samples = tone(frequency, 2)
    stretched = stretch_to(samples[np.newaxis], round(32_000 * ratio), 16_000)[0]
    assert len(stretched) == round(32_000 * ratio)
    assert abs(cents(tone_frequency(stretched, 16_000), frequency)) < 2
    assert level_db(stretched) == pytest.approx(level_db(samples), abs=0.1)


@pytest.mark.parametrize("ratio", [0.8, 0.95, 1.05, 1.25])
def test_events_move_with_the_duration_by_less_than_10_ms(ratio):
    samples = noise(5, amplitude=1e-3)
    beeps = np.arange(4_000, 76_000, 9_000)
    for start in beeps:
        samples[start : start + 800] += tone(1_000, 0.05)
    stretched = stretch_to(samples[np.newaxis], round(len(samples) * ratio), 16_000)[0]
    loud = np.convolve(np.square(stretched), np.ones(32) / 32, mode="same") > 0.02
    begins = np.flatnonzero(np.diff(loud.astype(int)) == 1)
    assert len(begins) == len(beeps)
    assert np.abs(begins - beeps * ratio).max() < 160


def test_what_is_played_between_splices_is_the_input_itself():
    samples = vowel(120, 2)[np.newaxis]
    stretched = stretch_to(samples, 34_000, 16_000)[0]
    windows = {samples[0, start : start + 64].tobytes() for start in range(32_000 - 64)}
    kept = np.mean([stretched[start : start + 64].tobytes() in windows for start in range(0, 33_900, 64)])
    assert kept > 0.85


def test_same_length_is_the_input_itself():
    samples = noise(0.5)[np.newaxis]
    same = stretch_to(samples, 8_000, 16_000)
    assert same is not samples
    np.testing.assert_array_equal(same, samples)


@pytest.mark.parametrize("ratio", [0.7, 0.9, 1.1, 1.4])
def test_noise_keeps_its_level_through_every_fade(ratio):
    samples = noise(4)
    stretched = stretch_to(samples[np.newaxis], round(64_000 * ratio), 16_000)[0]
    assert level_db(stretched) == pytest.approx(level_db(samples), abs=0.2)


def test_places_of_splices_do_not_depend_on_the_level():
    samples = vowel(120, 1)[np.newaxis]
    loud = stretch_to(samples, 18_000, 16_000)
    faint = stretch_to(samples * np.float32(2**-12), 18_000, 16_000)
    np.testing.assert_allclose(faint * 2**12, loud, rtol=1e-5, atol=1e-7)
