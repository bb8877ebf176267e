import numpy as np
import pytest

from langaudio.augment import (
    TRANSFORMS,
    BadAudio,
    BadParameter,
    Compose,
    OneOf,
    PolarityInversion,
    RandomGain,
    SomeOf,
    TimeMask,
    WhiteNoise,
    rebuild,
)
from tests.augment.signals import noise, tone, vowel

SHORT = tone(200, 0.02)

combinations = pytest.mark.parametrize("combination", [Compose, OneOf, SomeOf])


def taken(combination, times=1_000):
    """The names of the transforms that were taken, for each of many draws."""
    rng = np.random.default_rng(0)
    return [tuple(step["transform"] for step in combination.draw(rng, SHORT, 16_000)) for _ in range(times)]


def test_compose_takes_all_in_order_each_with_its_own_probability():
    chain = Compose([PolarityInversion(p=0.2), RandomGain(p=1), TimeMask(p=0.8)])
    drawn = taken(chain)
    every = ("PolarityInversion", "RandomGain", "TimeMask")
    assert all(names == tuple(name for name in every if name in names) for names in drawn)
    shares = [np.mean([name in names for names in drawn]) for name in every]
    assert shares == pytest.approx([0.2, 1, 0.8], abs=0.05)


def test_compose_feeds_each_transform_with_what_the_one_before_made():
    samples = tone(200, amplitude=0.5)
    chain = Compose([RandomGain(-6, -6, p=1), WhiteNoise(20, 20, p=1), PolarityInversion(p=1)])
    augmented, steps = chain.render(samples, 16_000, np.random.default_rng(0))
    expected = samples
    for step in steps:
        drawn = {name: value for name, value in step.items() if name != "transform"}
        expected = TRANSFORMS[step["transform"]].apply(expected, 16_000, drawn)
    assert [step["transform"] for step in steps] == ["RandomGain", "WhiteNoise", "PolarityInversion"]
    assert augmented.tobytes() == expected.tobytes()


def test_one_of_takes_one_as_often_as_its_weight():
    drawn = taken(OneOf([PolarityInversion(p=1), RandomGain(p=1), TimeMask(p=1)], weights=[6, 3, 1], p=1))
    shares = [drawn.count((name,)) / 1_000 for name in ("PolarityInversion", "RandomGain", "TimeMask")]
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.05)


def test_one_of_without_weights_takes_all_alike():
    drawn = taken(OneOf([PolarityInversion(p=1), TimeMask(p=1)], p=1))
    assert drawn.count(("TimeMask",)) / 1_000 == pytest.approx(0.5, abs=0.05)


def test_some_of_takes_between_the_least_and_the_most_in_the_given_order():
    every = ("TimeMask", "RandomGain", "WhiteNoise", "PolarityInversion")
    drawn = taken(SomeOf([TRANSFORMS[name](p=1) for name in every], num_transforms=(1, 3), p=1))
    counts = [np.mean([len(names) == count for names in drawn]) for count in range(5)]
    assert counts == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0], abs=0.05)
    assert all(names == tuple(name for name in every if name in names) for names in drawn)
    shares = [np.mean([name in names for names in drawn]) for name in every]
    assert shares == pytest.approx([0.5] * 4, abs=0.05)


@combinations
def test_probability_of_a_combination_is_how_often_it_is_taken(combination):
    drawn = taken(combination([PolarityInversion(p=1)], p=0.3))
    assert sum(map(bool, drawn)) / 1_000 == pytest.approx(0.3, abs=0.05)


def test_probability_inside_a_combination_counts_too():
    drawn = taken(OneOf([PolarityInversion(p=0.5)], p=0.5))
    assert sum(map(bool, drawn)) / 1_000 == pytest.approx(0.25, abs=0.05)


def test_nested_combinations_give_one_flat_list_that_rebuilds_the_same_bytes():
    nested = Compose(
        [
            SomeOf([transform(p=1) for transform in TRANSFORMS.values()], num_transforms=(2, 6), p=1),
            OneOf([Compose([PolarityInversion(p=1), WhiteNoise(p=1)]), RandomGain(p=1)], p=1),
        ]
    )
    samples = vowel(150, 0.5)
    for seed in range(10):
        augmented, steps = nested.render(samples, 16_000, np.random.default_rng(seed))
        assert {step["transform"] for step in steps} <= TRANSFORMS.keys()
        assert rebuild(samples, 16_000, steps).tobytes() == augmented.tobytes()
        assert nested.draw(np.random.default_rng(seed), samples, 16_000) == steps


@combinations
def test_input_stays_as_it_is_and_is_never_returned_itself(combination):
    samples = noise(0.1)
    before = samples.copy()
    for p in (0, 1):
        augmented = combination([PolarityInversion(p=p)], p=1)(samples, 16_000, np.random.default_rng(0))
        assert not np.shares_memory(augmented, samples)
        np.testing.assert_array_equal(samples, before)


@combinations
@pytest.mark.parametrize("transforms", [[], None, [RandomGain], ["RandomGain"], RandomGain()])
def test_transforms_that_are_none_are_refused(combination, transforms):
    with pytest.raises(BadParameter, match=f"{combination.__name__}: .* is not a"):
        combination(transforms)


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("inf")], [1, "much"], 1])
def test_bad_weights_are_refused(weights):
    with pytest.raises(BadParameter, match="for each of the 2 transforms"):
        OneOf([RandomGain(), TimeMask()], weights=weights)


@pytest.mark.parametrize("num_transforms", [3, -1, [2, 1], [0, 3], [1], 1.5, True, "two"])
def test_bad_number_of_transforms_is_refused(num_transforms):
    with pytest.raises(BadParameter, match="a whole number from 0 to 2, or the least and the most"):
        SomeOf([RandomGain(), TimeMask()], num_transforms=num_transforms)


@combinations
def test_bad_audio_is_refused_before_chance_decides(combination):
    with pytest.raises(BadAudio, match="not float64"):
        combination([RandomGain()], p=0)(np.zeros(16_000), 16_000, np.random.default_rng(0))
    with pytest.raises(BadAudio, match="not float64"):
        combination([RandomGain()], p=0).draw(np.random.default_rng(0), np.zeros(16_000), 16_000)
