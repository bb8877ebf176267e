import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langaudio.augment import BadParameter, TimeMask
from tests.augment.signals import noise, tone


@given(
    length=st.integers(320, 40_000),
    part=st.floats(0, 1),
    fade=st.sampled_from([0, 0.001, 0.005, 0.1]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_mask_is_silent_between_its_fades_and_the_rest_is_untouched(length, part, fade, seed):
    samples = noise(length / 16_000)
    masking = TimeMask(min_band_part=part, max_band_part=part, fade_duration=fade, p=1)
    masked, [step] = masking.render(samples, 16_000, np.random.default_rng(seed))
    start, end = step["start_sample"], step["start_sample"] + step["mask_samples"]
    faded = step["fade_samples"]

    assert step["mask_samples"] == round(part * length)
    assert masked[:start].tobytes() == samples[:start].tobytes()
    assert masked[end:].tobytes() == samples[end:].tobytes()
    assert not masked[start + faded : end - faded].any()
    assert end == start or end - faded > start + faded  # some of it is always silent
    assert np.all(np.abs(masked) <= np.abs(samples))


def test_fades_have_no_click():
    samples = tone(200, amplitude=1.0)

    def energy_above_2_khz(fade_samples):
        drawn = {"start_sample": 4_020, "mask_samples": 4_000, "fade_samples": fade_samples}
        spectrum = np.fft.rfft(TimeMask.apply(samples, 16_000, drawn))
        return np.sum(np.abs(spectrum[2_000:]) ** 2)

    cut, faded = energy_above_2_khz(0), energy_above_2_khz(80)
    assert 10 * np.log10(faded / cut) < -40


def test_fade_is_as_long_as_asked_for():
    fading = TimeMask(0.5, 0.5, fade_duration=0.005, p=1)
    assert fading.draw(np.random.default_rng(0), noise(), 16_000)["fade_samples"] == 80
    assert fading.draw(np.random.default_rng(0), noise(1, 48_000), 48_000)["fade_samples"] == 240


def test_share_and_place_of_the_mask_are_drawn_evenly():
    samples, rng = noise(1), np.random.default_rng(0)
    drawn = [TimeMask(0.01, 0.2, p=1).draw(rng, samples, 16_000) for _ in range(2_000)]
    shares = np.array([each["mask_samples"] for each in drawn]) / 16_000
    assert 0.01 <= shares.min() < 0.011
    assert 0.199 < shares.max() <= 0.2
    assert shares.mean() == pytest.approx(0.105, abs=0.005)
    starts = np.array([each["start_sample"] for each in drawn]) / (16_000 * (1 - shares))
    counts, _ = np.histogram(starts, bins=8, range=(0, 1))
    assert np.all(np.abs(counts - 250) < 60)


def test_all_channels_are_masked_alike():
    samples = np.stack([noise(), noise(seed=1)])
    masked = TimeMask(0.3, 0.3, fade_duration=0, p=1)(samples, 16_000, np.random.default_rng(0))
    silent = masked == 0
    assert silent[0].sum() == 4_800
    np.testing.assert_array_equal(silent[0], silent[1])


@pytest.mark.parametrize(
    ("bad", "allowed"),
    [
        ({"min_band_part": -0.1}, "from 0 to 1"),
        ({"max_band_part": 1.5}, "from 0 to 1"),
        ({"fade_duration": 2}, "from 0 to 1"),
        ({"min_band_part": 0.3}, "is above max_band_part=0.2"),
    ],
)
def test_bad_parameter_is_refused_with_its_range(bad, allowed):
    with pytest.raises(BadParameter, match=allowed):
        TimeMask(**bad)


@pytest.mark.parametrize(
    ("start", "masked", "fade"), [(-1, 10, 0), (15_990, 20, 0), (0, 10, 6), (0, -1, 0), (0, 10, -1)]
)
def test_recorded_mask_that_does_not_fit_the_clip_is_refused(start, masked, fade):
    drawn = {"start_sample": start, "mask_samples": masked, "fade_samples": fade}
    with pytest.raises(BadParameter, match="within the 16000 samples"):
        TimeMask.apply(noise(), 16_000, drawn)
