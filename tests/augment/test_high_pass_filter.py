import numpy as np
import pytest
from scipy.signal import butter, sosfreqz

from langaudio.augment import BadParameter, HighPassFilter
from langaudio.augment.high_pass_filter import _butterworth
from tests.augment.signals import noise, tone

cutoffs = pytest.mark.parametrize(
    ("cutoff", "sample_rate"), [(20, 16_000), (60, 8_000), (300, 16_000), (1_000, 44_100), (2_400, 48_000)]
)
rolloffs = pytest.mark.parametrize("rolloff", [12, 18, 24, 30, 36])


def response_db(cutoff, rolloff, sample_rate):
    """The filter's response in dB at a frequency (Hz), measured on an impulse."""
    impulse = np.zeros(4 * sample_rate, np.float32)
    impulse[0] = 1
    drawn = {"cutoff_freq": float(cutoff), "rolloff": float(rolloff)}
    spectrum = np.abs(np.fft.rfft(HighPassFilter.apply(impulse, sample_rate, drawn)))

    def at(frequency):
        return 20 * np.log10(np.interp(frequency, np.arange(len(spectrum)) / 4, spectrum))

    return at


@cutoffs
@rolloffs
def test_response_at_the_cutoff_is_minus_3_db(cutoff, sample_rate, rolloff):
    assert response_db(cutoff, rolloff, sample_rate)(cutoff) == pytest.approx(-3, abs=0.1)


@cutoffs
@rolloffs
def test_slope_below_the_cutoff_is_the_rolloff_within_1_db_per_octave(cutoff, sample_rate, rolloff):
    response = response_db(cutoff, rolloff, sample_rate)
    assert response(cutoff / 2) - response(cutoff / 4) == pytest.approx(rolloff, abs=1)
    if cutoff > 20:
        assert response(cutoff / 4) - response(cutoff / 8) == pytest.approx(rolloff, abs=1)


@rolloffs
def test_slope_holds_at_the_highest_cutoff_that_is_allowed(rolloff):
    response = response_db(4_800, rolloff, 16_000)
    assert response(1_200) - response(600) == pytest.approx(rolloff, abs=1)


@cutoffs
@rolloffs
def test_passband_is_flat_within_half_a_db(cutoff, sample_rate, rolloff):
    response = response_db(cutoff, rolloff, sample_rate)
    passband = np.geomspace(2 * cutoff, 0.499 * sample_rate, 200)
    assert np.abs(response(passband)).max() < 0.5


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6, 8])
def test_sections_are_those_of_scipy(order):
    ours = sosfreqz(_butterworth(order, 0.05), 512)[1]
    theirs = sosfreqz(butter(order, 0.1, "highpass", output="sos"), 512)[1]
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_constant_offset_is_removed():
    filtered = HighPassFilter(50, 50, p=1)(np.ones(32_000, np.float32), 16_000, np.random.default_rng(0))
    assert np.abs(filtered[-1_000:]).max() < 1e-6


def test_channels_are_filtered_apart():
    samples = np.stack([tone(100), tone(1_000)])
    drawn = {"cutoff_freq": 400.0, "rolloff": 24.0}
    both = HighPassFilter.apply(samples, 16_000, drawn)
    for row, channel in zip(both, samples, strict=True):
        np.testing.assert_array_equal(row, HighPassFilter.apply(channel, 16_000, drawn))


def test_cutoff_is_drawn_evenly_in_mel():
    samples, rng = noise(0.02), np.random.default_rng(0)
    drawn = [HighPassFilter(20, 2_400, p=1).draw(rng, samples, 16_000)["cutoff_freq"] for _ in range(2_000)]
    assert 20 <= min(drawn) < max(drawn) <= 2_400
    low, high = (2595 * np.log10(1 + f / 700) for f in (20, 2_400))
    mels = (2595 * np.log10(1 + np.array(drawn) / 700) - low) / (high - low)
    counts, _ = np.histogram(mels, bins=8, range=(0, 1))
    assert np.all(np.abs(counts - 250) < 60)


@pytest.mark.parametrize(
    ("bad", "allowed"),
    [
        ({"min_cutoff_freq": 0}, "from 10 to 14400"),
        ({"max_cutoff_freq": 20_000}, "from 10 to 14400"),
        ({"min_cutoff_freq": 3_000}, "is above max_cutoff_freq=2400"),
        ({"rolloff": 13}, "one of 12, 18, 24, 30, 36 dB per octave"),
        ({"rolloff": "steep"}, "one of 12, 18, 24, 30, 36 dB per octave"),
    ],
)
def test_bad_parameter_is_refused_with_its_range(bad, allowed):
    with pytest.raises(BadParameter, match=allowed):
        HighPassFilter(**bad)


def test_cutoff_too_high_for_the_sample_rate_is_refused_with_the_limit():
    with pytest.raises(BadParameter, match="at a sample rate of 8000 Hz; it is above 0 and at most 2400 Hz"):
        HighPassFilter(20, 2_500, p=1)(noise(1, 8_000), 8_000, np.random.default_rng(0))
