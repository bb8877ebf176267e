import json

import numpy as np
import pytest

from langaudio.augment import TRANSFORMS, BadParameter, Compose, OneOf, SomeOf, from_dict, rebuild
from tests.augment.signals import tone, vowel


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transform_comes_back_from_its_dict(transform):
    described = transform(p=0.25).to_dict()
    assert described["transform"] == transform.__name__
    assert from_dict(json.loads(json.dumps(described))) == transform(p=0.25)


def test_combination_comes_back_from_its_dict():
    nested = Compose(
        [
            OneOf([TRANSFORMS["WhiteNoise"](10, 20, p=1), TRANSFORMS["TimeMask"]()], weights=[1, 2], p=0.3),
            SomeOf([TRANSFORMS["RandomGain"](), TRANSFORMS["PitchScale"]()], num_transforms=[1, 2]),
        ],
        p=0.9,
    )
    assert from_dict(json.loads(json.dumps(nested.to_dict()))) == nested


def test_whole_numbers_mean_the_same_as_floats():
    whole = from_dict({"transform": "HighPassFilter", "p": 1, "min_cutoff_freq": 50, "rolloff": 24})
    floats = from_dict({"transform": "HighPassFilter", "p": 1.0, "min_cutoff_freq": 50.0, "rolloff": 24.0})
    assert json.dumps(whole.to_dict()) == json.dumps(floats.to_dict())


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"transform": "PitchScal"}, r"'PitchScal' is not a known transform \(did you mean 'PitchScale'\?\)"),
        ({"p": 0.5}, "None is not a known transform"),
        ({"transform": 3}, "3 is not a known transform"),
        ("PitchScale", "is a table with its name under 'transform'"),
        (
            {"transform": "WhiteNoise", "min_snr": 3},
            r"no parameter 'min_snr' \(did you mean 'min_snr_db'\?\)",
        ),
        ({"transform": "WhiteNoise", "min_snr_db": "low"}, "min_snr_db='low' is not allowed"),
        ({"transform": "OneOf"}, "OneOf needs 'transforms'"),
        ({"transform": "OneOf", "transforms": "all"}, "'a' is not a transform"),
        (
            {"transform": "OneOf", "transforms": [{"transform": "Reverb"}]},
            "'Reverb' is not a known transform",
        ),
    ],
)
def test_bad_description_is_refused_with_what_is_known(described, message):
    with pytest.raises(BadParameter, match=message):
        from_dict(described)


def test_steps_rebuild_the_same_bytes_after_json():
    samples = np.stack([vowel(110, 0.7), vowel(220, 0.7)])
    chain = Compose([transform(p=1) for transform in TRANSFORMS.values()])
    augmented, steps = chain.render(samples, 16_000, np.random.default_rng(5))
    assert len(steps) == len(TRANSFORMS)
    assert rebuild(samples, 16_000, json.loads(json.dumps(steps))).tobytes() == augmented.tobytes()


def test_no_steps_rebuild_the_segment_itself():
    samples = tone(200)
    rebuilt = rebuild(samples, 16_000, [])
    assert rebuilt is not samples
    np.testing.assert_array_equal(rebuilt, samples)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"transform": "RandomGian", "gain_db": 1.0}, "did you mean 'RandomGain'"),
        ({"transform": "Compose", "transforms": []}, "'Compose' is not a known transform"),
        ({"transform": "RandomGain", "gain_db": 1.0}, "applied with"),
        ({"semitones": 1.0}, "None is not a known transform"),
    ],
)
def test_step_that_nothing_recorded_is_refused(step, message):
    with pytest.raises(BadParameter, match=message):
        rebuild(tone(200), 16_000, [step])
