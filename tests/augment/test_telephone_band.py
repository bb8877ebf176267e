import numpy as np
import pytest

from langaudio.augment import BadParameter, TelephoneBand
from langaudio.augment.telephone_band import _table
from tests.augment.signals import level_db, noise, tone, tone_frequency, vowel

LAWS = pytest.mark.parametrize("law", ["mu-law", "A-law"])


def gain_db(frequency, sample_rate, law="mu-law"):
    """How much of a tone comes out at its own frequency."""
    sent = tone(frequency, 1.0, sample_rate, amplitude=0.5)
    heard = TelephoneBand.apply(sent, sample_rate, {"law": law})
    bins = [np.abs(np.fft.rfft(samples * np.hanning(len(samples))))[frequency] for samples in (heard, sent)]
    return 20 * np.log10(bins[0] / bins[1])


@LAWS
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_the_band_is_flat_inside_and_steep_outside(sample_rate, law):
    for frequency in (400, 700, 1_000, 2_000, 3_000, 3_300):
        assert gain_db(frequency, sample_rate, law) == pytest.approx(0, abs=0.5)
    for frequency in (300, 3_400):
        assert gain_db(frequency, sample_rate, law) == pytest.approx(-6, abs=1)
    for frequency in (50, 100, 200, 3_500, 3_700):
        assert gain_db(frequency, sample_rate, law) < -39
    if sample_rate > 12_000:
        assert gain_db(5_000, sample_rate, law) < -60


@LAWS
def test_companding_noise_is_that_of_g711(law):
    # Of the two laws a full-range sine wave has about 38 dB at any level from −30 to 0 dBFS.
    for amplitude in (0.9, 0.3, 0.1, 0.03):
        sent = tone(1_020, 1.0, 8_000, amplitude)
        heard = TelephoneBand.apply(sent, 8_000, {"law": law})
        error = (heard - sent)[300:-300]
        assert level_db(sent) - level_db(error) == pytest.approx(38.5, abs=3)


@LAWS
def test_the_table_is_the_law(law):
    sent = np.arange(-(2**15), 2**15)
    heard = _table(law)[sent.astype(np.int16).view(np.uint16)] * 2**15
    assert len(np.unique(heard)) in (255, 256, 257)  # eight bits; μ-law has two zeros, A-law none but ours
    assert np.all(np.diff(heard) >= 0)
    step = np.abs(heard - sent)
    assert np.all(step <= 8 + np.abs(sent) / 32 + 300 * (np.abs(sent) > 32_000))
    assert heard[2**15] == 0


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 48_000])
def test_speech_does_not_move(sample_rate):
    samples = vowel(120, 2, sample_rate)
    heard = TelephoneBand.apply(samples, sample_rate, {"law": "mu-law"})
    size = 2 ** int(np.ceil(np.log2(2 * len(samples))))
    correlation = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(samples, size)))
    assert np.argmax(correlation) == 0


def test_a_frequency_stays_what_it_is():
    heard = TelephoneBand.apply(tone(1_234, 1.0, 22_050), 22_050, {"law": "A-law"})
    assert tone_frequency(heard, 22_050) == pytest.approx(1_234, abs=0.1)


def test_what_is_too_loud_is_clipped_and_never_wraps():
    sent = tone(1_000, 1.0, 8_000, amplitude=3.0)
    heard = TelephoneBand.apply(sent, 8_000, {"law": "mu-law"})
    inside = slice(300, -300)
    assert np.abs(heard).max() <= 1
    assert np.all((heard * sent)[inside][np.abs(sent[inside]) > 0.5] > 0)


@LAWS
def test_silence_stays_silence(law):
    assert not TelephoneBand.apply(np.zeros(16_000, np.float32), 16_000, {"law": law}).any()


def test_either_law_is_drawn_about_as_often():
    samples, rng = noise(0.1), np.random.default_rng(0)
    drawn = [TelephoneBand(p=1).draw(rng, samples, 16_000)["law"] for _ in range(400)]
    assert set(drawn) == {"mu-law", "A-law"}
    assert 150 < drawn.count("A-law") < 250
    assert {TelephoneBand("A-law", p=1).draw(rng, samples, 16_000)["law"] for _ in range(9)} == {"A-law"}


def test_bad_law_is_refused_with_those_that_are_known():
    with pytest.raises(BadParameter, match="one of mu-law, A-law, any"):
        TelephoneBand(law="b-law")
    with pytest.raises(BadParameter, match="mu-law or A-law"):
        TelephoneBand.apply(noise(), 16_000, {"law": "any"})
