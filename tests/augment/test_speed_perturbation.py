import numpy as np
import pytest

from langaudio.augment import BadParameter, SpeedPerturbation
from tests.augment.signals import cents, level_db, tone, tone_frequency


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.93, 1.0, 1.07, 1.3])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_pitch_and_tempo_change_by_the_rate_and_the_level_stays(rate, sample_rate):
    samples = tone(400, 1.0, sample_rate)
    played = SpeedPerturbation.apply(samples, sample_rate, {"rate": rate})
    assert played.shape == (round(sample_rate / rate),)
    assert cents(tone_frequency(played, sample_rate), 400 * rate) == pytest.approx(0, abs=0.1)
    inside = slice(len(played) // 10, -len(played) // 10)
    assert level_db(played[inside]) == pytest.approx(level_db(samples), abs=0.05)


@pytest.mark.parametrize("rate", [0.77, 0.9, 1.1, 1.49])
def test_a_click_comes_at_its_time_divided_by_the_rate(rate):
    samples = np.zeros(16_000, np.float32)
    samples[9_000] = 1
    played = SpeedPerturbation.apply(samples, 16_000, {"rate": rate})
    assert np.argmax(np.abs(played)) == pytest.approx(9_000 / rate, abs=1)


def test_a_rate_of_one_changes_nothing():
    samples = tone(300)
    np.testing.assert_allclose(SpeedPerturbation.apply(samples, 16_000, {"rate": 1.0}), samples, atol=1e-6)


def test_what_would_fold_back_is_gone():
    played = SpeedPerturbation.apply(tone(7_500), 16_000, {"rate": 1.2})
    assert level_db(played[500:-500]) < -80


def test_rates_are_drawn_evenly_in_steps_of_a_hundredth():
    samples, rng = tone(200), np.random.default_rng(0)
    drawn = [SpeedPerturbation(0.9, 1.1, p=1).draw(rng, samples, 16_000)["rate"] for _ in range(2_000)]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [step / 100 for step in range(90, 111)]
    # Half a step at either end.
    assert np.all(np.abs(counts[1:-1] - 100) < 40)


def test_no_rate_leaves_less_than_20_ms():
    samples, rng = tone(200, 0.025), np.random.default_rng(0)
    for _ in range(50):
        played, [step] = SpeedPerturbation(1.5, 2, p=1).render(samples, 16_000, rng)
        assert len(played) >= 320
        assert step["rate"] == pytest.approx(1.24, abs=0.005)


@pytest.mark.parametrize("bad", [{"min_rate": 0.4}, {"max_rate": 2.1}, {"max_rate": "fast"}])
def test_bad_rate_is_refused_with_its_range(bad):
    with pytest.raises(BadParameter, match=r"from 0\.5 to 2"):
        SpeedPerturbation(**bad)


@pytest.mark.parametrize("rate", [0, -1, 0.49, 3.0, "1", None])
def test_bad_recorded_rate_is_refused(rate):
    with pytest.raises(BadParameter, match="is not allowed"):
        SpeedPerturbation.apply(tone(200), 16_000, {"rate": rate})
