import numpy as np
import pytest

from langaudio.augment import BadParameter, RandomGain
from tests.augment.signals import noise, tone


@pytest.mark.parametrize("gain_db", [-60.0, -6.0, -0.1, 0.0, 0.1, 6.0])
def test_gain_is_exact_in_db(gain_db):
    samples = tone(200, amplitude=0.25)
    drawn = {"gain_db": gain_db, "wanted_gain_db": gain_db}
    louder = RandomGain.apply(samples, 16_000, drawn)
    ratios = louder[samples != 0] / samples[samples != 0]
    assert np.abs(20 * np.log10(ratios) - gain_db).max() < 1e-5


def test_drawn_gains_fill_the_range_evenly():
    samples, rng = tone(200, 0.02, amplitude=0.01), np.random.default_rng(0)
    drawn = [RandomGain(-12, 6, p=1).draw(rng, samples, 16_000)["gain_db"] for _ in range(2_000)]
    counts, _ = np.histogram(drawn, bins=9, range=(-12, 6))
    assert counts.sum() == 2_000
    assert np.all(np.abs(counts - 2_000 / 9) < 60)


@pytest.mark.parametrize("amplitude", [0.5, 1.0, 1.7])
def test_gain_never_passes_full_scale_and_records_what_was_applied(amplitude):
    samples = tone(200, amplitude=amplitude)
    louder, [step] = RandomGain(20, 20, p=1).render(samples, 16_000, np.random.default_rng(0))
    assert 0.9999 < np.abs(louder).max() <= 1
    assert step["wanted_gain_db"] == 20
    applied = 20 * np.log10(np.abs(louder).max() / np.abs(samples).max())
    assert step["gain_db"] == pytest.approx(applied, abs=1e-5)


def test_sixteen_bit_samples_keep_their_sign_at_full_scale():
    samples = noise(amplitude=0.4)
    louder = RandomGain(30, 30, p=1)(samples, 16_000, np.random.default_rng(0))
    written = np.rint(louder * 32767).astype(np.int16)
    assert np.all(written.astype(float) * samples >= 0)


def test_silence_stays_silence_and_its_gain_is_what_was_drawn():
    silence = np.zeros(16_000, np.float32)
    louder, [step] = RandomGain(9, 9, p=1).render(silence, 16_000, np.random.default_rng(0))
    assert not louder.any()
    assert step["gain_db"] == 9


def test_channels_keep_their_balance():
    samples = np.stack([tone(200, amplitude=0.4), tone(300, amplitude=0.1)])
    louder = RandomGain(40, 40, p=1)(samples, 16_000, np.random.default_rng(0))
    ratios = np.abs(louder).max(axis=1) / np.abs(samples).max(axis=1)
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-6)


@pytest.mark.parametrize("bad", [{"min_gain_db": -121}, {"max_gain_db": 121}, {"min_gain_db": "loud"}])
def test_bad_gain_is_refused_with_its_range(bad):
    with pytest.raises(BadParameter, match="from -120 to 120"):
        RandomGain(**bad)


@pytest.mark.parametrize("gain_db", [float("nan"), 1e9, "6"])
def test_bad_recorded_gain_is_refused(gain_db):
    with pytest.raises(BadParameter, match="gain_db="):
        RandomGain.apply(tone(200), 16_000, {"gain_db": gain_db, "wanted_gain_db": 0.0})
