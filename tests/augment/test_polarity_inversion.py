import numpy as np

from langaudio.augment import PolarityInversion
from tests.augment.signals import noise


def test_every_sample_is_exactly_its_negative():
    samples = noise()
    inverted = PolarityInversion(p=1)(samples, 16_000, np.random.default_rng(0))
    np.testing.assert_array_equal(inverted, -samples)


def test_twice_is_bit_for_bit_as_before():
    samples = noise()
    twice = PolarityInversion.apply(PolarityInversion.apply(samples, 16_000, {}), 16_000, {})
    assert twice.tobytes() == samples.tobytes()
