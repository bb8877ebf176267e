import numpy as np
import pytest
from scipy.signal import welch

from langaudio.augment import BadParameter, WhiteNoise
from langaudio.augment.white_noise import speech_power
from tests.augment.signals import level_db, noise, tone, vowel


def noise_in(samples, snr_db, sample_rate=16_000, seed=1):
    noisy = WhiteNoise.apply(samples, sample_rate, {"snr_db": snr_db, "noise_seed": seed})
    return noisy.astype(np.float64) - samples


def speech_with_pauses(sample_rate=16_000):
    """Two phrases in 6 s, a room's hiss 45 dB below them, and where somebody speaks."""
    phrase = vowel(120, 1.0, sample_rate)
    samples = noise(6, sample_rate, amplitude=1)
    samples *= 10 ** ((level_db(phrase) - 45) / 20)
    spoken = np.zeros(len(samples), bool)
    for start in (sample_rate, 4 * sample_rate):
        samples[start : start + len(phrase)] += phrase
        spoken[start : start + len(phrase)] = True
    return samples, spoken


@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 40.0])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 48_000])
def test_snr_over_speech_is_the_drawn_one_within_a_tenth_of_a_db(snr_db, sample_rate):
    samples, spoken = speech_with_pauses(sample_rate)
    added = noise_in(samples, snr_db, sample_rate)
    assert level_db(samples[spoken]) - level_db(added) == pytest.approx(snr_db, abs=0.1)
    assert level_db(samples[spoken]) - level_db(added[spoken]) == pytest.approx(snr_db, abs=0.1)


def test_snr_is_exact_even_on_the_shortest_clip():
    samples = tone(200, 0.02, 8_000)
    for seed in range(20):
        added = noise_in(samples, 20.0, 8_000, seed)
        assert level_db(samples) - level_db(added) == pytest.approx(20, abs=0.001)


@pytest.mark.parametrize("pause_s", [0.5, 3, 30])
def test_pauses_do_not_count(pause_s):
    speech = tone(200, 2)
    hiss = noise(pause_s, amplitude=0.5 * 10 ** (-30 / 20))
    assert 10 * np.log10(speech_power(np.concatenate([speech, hiss]), 16_000)) == pytest.approx(
        level_db(speech), abs=0.05
    )


def test_a_click_does_not_count():
    samples = tone(200, 3, amplitude=0.05)
    with_click = samples.copy()
    with_click[20_000] = 1
    assert 10 * np.log10(speech_power(with_click, 16_000)) == pytest.approx(level_db(samples), abs=0.5)


def test_speech_alone_has_its_mean_power():
    samples = noise(3)
    assert 10 * np.log10(speech_power(samples, 16_000)) == pytest.approx(level_db(samples), abs=0.01)


def test_spectrum_is_flat_within_1_db():
    added = noise_in(tone(440, 20), 20.0)
    _, density = welch(added, 16_000, nperseg=256)
    inner = 10 * np.log10(density[1:-1])  # the first and last bins are of half width
    assert np.abs(inner - inner.mean()).max() < 1


def test_noise_is_gaussian_and_alike_in_speech_and_pauses():
    samples, spoken = speech_with_pauses()
    added = noise_in(samples, 10.0)
    normalised = added / added.std()
    assert np.mean(normalised**3) == pytest.approx(0, abs=0.05)
    assert np.mean(normalised**4) == pytest.approx(3, abs=0.1)
    assert level_db(added[spoken]) == pytest.approx(level_db(added[~spoken]), abs=0.2)


def test_channels_get_independent_noise_of_equal_power():
    one, other = noise_in(np.stack([tone(200, 5), tone(300, 5, amplitude=0.1)]), 20.0)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
    assert level_db(one) == pytest.approx(level_db(other), abs=0.1)


def test_another_seed_is_other_noise():
    samples = tone(200)
    assert abs(np.corrcoef(noise_in(samples, 20.0, seed=1), noise_in(samples, 20.0, seed=2))[0, 1]) < 0.05


def test_silence_stays_silence():
    silence = np.zeros(16_000, np.float32)
    assert not WhiteNoise(p=1)(silence, 16_000, np.random.default_rng(0)).any()


def test_snr_is_drawn_evenly():
    samples, rng = tone(200, 0.02), np.random.default_rng(0)
    drawn = [WhiteNoise(10, 30, p=1).draw(rng, samples, 16_000)["snr_db"] for _ in range(2_000)]
    counts, _ = np.histogram(drawn, bins=8, range=(10, 30))
    assert counts.sum() == 2_000
    assert np.all(np.abs(counts - 250) < 60)


@pytest.mark.parametrize("bad", [{"min_snr_db": -41}, {"max_snr_db": 121}, {"max_snr_db": "high"}])
def test_bad_snr_is_refused_with_its_range(bad):
    with pytest.raises(BadParameter, match="from -40 to 120"):
        WhiteNoise(**bad)


@pytest.mark.parametrize(("snr_db", "seed"), [(500.0, 1), ("20", 1), (20.0, -1), (20.0, 1.5), (20.0, None)])
def test_bad_recorded_values_are_refused(snr_db, seed):
    with pytest.raises(BadParameter, match="is not allowed"):
        WhiteNoise.apply(tone(200), 16_000, {"snr_db": snr_db, "noise_seed": seed})
