import numpy as np
import pytest

from langaudio.augment import BadParameter, RoomReverb
from langaudio.augment.room_reverb import _convolved, reverberation_of
from tests.augment.signals import level_db, noise, tone, vowel


def decay_time(response, sample_rate):
    """RT60 from −5 to −35 dB of the energy that is still to come (Schroeder, 1965; T30 of ISO 3382)."""
    to_come = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    decay_db = 10 * np.log10(to_come / to_come[0])
    fitted = np.flatnonzero((decay_db < -5) & (decay_db > -35))
    return -60 / np.polyfit(fitted / sample_rate, decay_db[fitted], 1)[0]


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize(("rt60", "tolerance"), [(0.2, 0.12), (0.5, 0.07), (1.0, 0.05), (3.0, 0.03)])
def test_reverberation_decays_by_60_db_in_rt60(sample_rate, rt60, tolerance):
    measured = [decay_time(reverberation_of(sample_rate, rt60, 0.0, seed), sample_rate) for seed in range(10)]
    assert np.mean(measured) == pytest.approx(rt60, rel=tolerance / 2)
    assert measured == pytest.approx([rt60] * 10, rel=tolerance)


@pytest.mark.parametrize("drr_db", [-20.0, 0.0, 7.5, 40.0])
def test_direct_sound_and_reverberation_have_the_ratio_that_was_drawn(drr_db):
    click = np.zeros(16_000, np.float32)
    click[1_000] = 0.5
    heard = RoomReverb.apply(click, 16_000, {"rt60": 0.4, "drr_db": drr_db, "room_seed": 3})
    direct = float(heard[1_000]) ** 2
    rest = float(np.square(heard, dtype=np.float64).sum()) - direct
    assert 10 * np.log10(direct / rest) == pytest.approx(drr_db, abs=0.01)


def test_the_direct_sound_stays_in_place_and_nothing_comes_before_it():
    samples = np.concatenate([np.zeros(4_000, np.float32), vowel(120, 1)])
    drawn = {"rt60": 0.6, "drr_db": 3.0, "room_seed": 9}
    heard = RoomReverb.apply(samples, 16_000, drawn)
    assert np.abs(heard[:4_000]).max() < 1e-6
    # Nor for the time in which no reflection can come.
    onset = heard[4_000:4_032] / samples[4_000:4_032]
    assert onset[1:] == pytest.approx(onset[1], rel=1e-3)
    spectra = np.fft.rfft(heard, 2**16) * np.conj(np.fft.rfft(samples, 2**16))
    assert np.argmax(np.fft.irfft(spectra)) == 0


def test_reflections_come_one_by_one_and_then_densely():
    response = reverberation_of(16_000, 0.5, 0.0, 4)
    assert not response[:32].any()
    filled = [np.mean(response[begin : begin + 80] != 0) for begin in (32, 160, 320, 480)]
    assert filled == sorted(filled)
    assert filled[0] < 0.1
    assert filled[-1] == 1


@pytest.mark.parametrize("samples", [vowel(120, 2), noise(1), tone(1_000)], ids=["vowel", "noise", "tone"])
def test_the_level_stays(samples):
    for seed in range(5):
        heard = RoomReverb(p=1)(samples, 16_000, np.random.default_rng(seed))
        assert level_db(heard) == pytest.approx(level_db(samples), abs=1e-3)


def test_convolution_by_blocks_is_the_direct_one():
    response = reverberation_of(16_000, 0.1, 0.0, 0)
    samples = np.stack([noise(3), noise(3, seed=1)])
    direct = [np.convolve(channel, response)[: samples.shape[1]] for channel in samples.astype(np.float64)]
    assert samples.shape[1] > 5 * len(response)
    np.testing.assert_allclose(_convolved(samples, response), direct, atol=1e-6)


def test_channels_are_in_the_same_room():
    samples = noise(1)
    one, other = RoomReverb(p=1)(np.stack([samples, samples]), 16_000, np.random.default_rng(0))
    np.testing.assert_array_equal(one, other)


def test_another_seed_is_another_room():
    one, other = (reverberation_of(16_000, 0.5, 0.0, seed) for seed in (1, 2))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("bad", "allowed"),
    [
        ({"min_target_rt60": 0.01}, r"from 0\.05 to 3"),
        ({"max_target_rt60": 9}, r"from 0\.05 to 3"),
        ({"min_drr_db": -30}, "from -20 to 40"),
    ],
)
def test_bad_parameters_are_refused_with_their_range(bad, allowed):
    with pytest.raises(BadParameter, match=allowed):
        RoomReverb(**bad)


@pytest.mark.parametrize("bad", [{"rt60": 0.0}, {"drr_db": "loud"}, {"room_seed": -1}, {"room_seed": 1.5}])
def test_bad_recorded_values_are_refused(bad):
    with pytest.raises(BadParameter, match="is not allowed"):
        RoomReverb.apply(tone(200), 16_000, {"rt60": 0.3, "drr_db": 3.0, "room_seed": 1} | bad)
