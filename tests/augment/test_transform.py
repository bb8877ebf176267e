import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langaudio.augment import TRANSFORMS, BadAudio, BadParameter, PolarityInversion, TimeMask, WhiteNoise
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


def shape_after(step, samples):
    if TRANSFORMS[step["transform"]].keeps_length:
        return samples.shape
    return (*samples.shape[:-1], round(samples.shape[-1] / step["rate"]))


@transforms
@given(clip=clips(), seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_clip_gives_finite_samples_of_its_shape_and_stays_as_it_is(transform, clip, seed):
    samples, sample_rate = clip
    before = samples.copy()
    samples.flags.writeable = False

    augmented, [step] = transform(p=1).render(samples, sample_rate, np.random.default_rng(seed))

    assert augmented.dtype == np.float32
    assert augmented.shape == shape_after(step, samples)
    assert augmented.shape[-1] >= int(0.02 * sample_rate)
    assert np.isfinite(augmented).all()
    assert not np.shares_memory(augmented, samples)
    np.testing.assert_array_equal(samples, before)


@transforms
@given(clip=clips(), seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_what_was_drawn_gives_the_same_bytes_after_json(transform, clip, seed):
    samples, sample_rate = clip
    augmented, [step] = transform(p=1).render(samples, sample_rate, np.random.default_rng(seed))
    drawn = json.loads(json.dumps(step))
    assert drawn.pop("transform") == transform.__name__
    assert transform.apply(samples, sample_rate, drawn).tobytes() == augmented.tobytes()


@transforms
def test_same_generator_gives_the_same_draw_and_the_same_bytes(transform):
    samples = noise(0.5)
    augmented = transform(p=1)(samples, 16_000, np.random.default_rng(7))
    drawn = transform(p=1).draw(np.random.default_rng(7), samples, 16_000)
    assert transform.apply(samples, 16_000, drawn).tobytes() == augmented.tobytes()


@transforms
def test_samples_that_are_not_contiguous_give_the_same_as_those_that_are(transform):
    apart = np.repeat(noise(0.5), 2)[::2]
    across = np.asfortranarray(np.stack([noise(0.5), noise(0.5, seed=1)]))
    for samples in (apart, across):
        packed, strided = (
            transform(p=1)(each, 16_000, np.random.default_rng(3))
            for each in (np.ascontiguousarray(samples), samples)
        )
        assert packed.tobytes() == strided.tobytes()


@transforms
def test_ten_minutes_keep_their_shape(transform):
    samples = np.tile(noise(60, 8_000), 10)
    augmented, [step] = transform(p=1).render(samples, 8_000, np.random.default_rng(0))
    assert augmented.shape == shape_after(step, samples)
    assert np.isfinite(augmented).all()


@transforms
def test_probability_is_how_often_it_is_applied(transform):
    samples, rng = tone(200, 0.02), np.random.default_rng(0)
    applied = sum(transform(p=0.3).draw(rng, samples, 16_000) is not None for _ in range(1_000))
    assert 250 < applied < 350
    assert all(transform(p=0).draw(rng, samples, 16_000) is None for _ in range(100))


def test_transform_left_out_by_chance_gives_a_copy_and_no_steps():
    samples = tone(200)
    untouched, steps = PolarityInversion(p=0).render(samples, 16_000, np.random.default_rng(0))
    assert steps == []
    assert untouched is not samples
    np.testing.assert_array_equal(untouched, samples)


@transforms
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "often", True, None])
def test_bad_probability_is_refused_with_its_range(transform, p):
    with pytest.raises(BadParameter, match=f"{transform.__name__}: p=.* is a number from 0 to 1"):
        transform(p=p)


def test_range_whose_ends_are_swapped_is_refused():
    with pytest.raises(BadParameter, match="min_snr_db=30 is above max_snr_db=10"):
        WhiteNoise(min_snr_db=30, max_snr_db=10)


def test_bad_parameter_is_a_value_error_and_one_of_ours():
    with pytest.raises(ValueError, match="fade_duration") as refusal:
        TimeMask(fade_duration=-1)
    assert isinstance(refusal.value, LangaudioError)


def test_what_was_drawn_for_another_transform_is_refused():
    with pytest.raises(BadParameter, match=r"with \['noise_seed', 'snr_db'\], not with \['semitones'\]"):
        WhiteNoise.apply(tone(200), 16_000, {"semitones": 1.0})


@pytest.mark.parametrize(
    ("samples", "sample_rate", "message"),
    [
        (np.zeros(16_000), 16_000, "not float64"),
        (np.zeros(16_000, np.int16), 16_000, "divide 16-bit integers by 32768"),
        ([0.0] * 16_000, 16_000, "not list"),
        (np.zeros((16_000, 2), np.float32), 16_000, r"\(channels, samples\), not \(16000, 2\)"),
        (np.zeros((1, 1, 16_000), np.float32), 16_000, "shape"),
        (np.zeros((0, 16_000), np.float32), 16_000, "shape"),
        (np.zeros(319, np.float32), 16_000, "less than 20 ms"),
        (np.zeros(0, np.float32), 16_000, "less than 20 ms"),
        (np.zeros(16_000, np.float32), 7_999, "from 8000 to 48000 Hz"),
        (np.zeros(16_000, np.float32), 96_000, "from 8000 to 48000 Hz"),
        (np.zeros(16_000, np.float32), 16_000.0, "whole number of Hz"),
        (np.full(16_000, 12_000, np.float32), 16_000, "reach 12000"),
        (np.full(16_000, np.nan, np.float32), 16_000, "finite"),
        (np.full(16_000, -np.inf, np.float32), 16_000, "finite"),
    ],
)
def test_audio_that_no_transform_takes_is_refused(samples, sample_rate, message):
    with pytest.raises(BadAudio, match=message):
        PolarityInversion(p=1)(samples, sample_rate, np.random.default_rng(0))
    with pytest.raises(BadAudio, match=message):
        PolarityInversion(p=1).draw(np.random.default_rng(0), samples, sample_rate)
    with pytest.raises(BadAudio, match=message):
        PolarityInversion.apply(samples, sample_rate, {})
