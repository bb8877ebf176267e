"""All transforms by name: from recipes and recorded steps to code. A new transform is a row here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from langaudio.augment.compose import Compose, OneOf, SomeOf
from langaudio.augment.high_pass_filter import HighPassFilter
from langaudio.augment.lossy_codec import LossyCodec
from langaudio.augment.pitch_scale import PitchScale
from langaudio.augment.polarity_inversion import PolarityInversion
from langaudio.augment.random_gain import RandomGain
from langaudio.augment.room_reverb import RoomReverb
from langaudio.augment.speed_perturbation import SpeedPerturbation
from langaudio.augment.telephone_band import TelephoneBand
from langaudio.augment.time_mask import TimeMask
from langaudio.augment.transform import Audio, Augmenter, BadParameter, Transform, check_audio
from langaudio.augment.white_noise import WhiteNoise
from langaudio.errors import suggest

TRANSFORMS: dict[str, type[Transform]] = {
    transform.__name__: transform
    for transform in (
        TimeMask,
        HighPassFilter,
        WhiteNoise,
        PitchScale,
        PolarityInversion,
        RandomGain,
        SpeedPerturbation,
        RoomReverb,
        TelephoneBand,
        LossyCodec,
    )
}

_ALL: dict[str, type[Augmenter]] = {**TRANSFORMS, "Compose": Compose, "OneOf": OneOf, "SomeOf": SomeOf}

Kind = TypeVar("Kind")


def from_dict(data: Mapping[str, Any]) -> Augmenter:
    """Return the transform or combination that `to_dict` described, or that a recipe describes.

    Args:
        data: the class name under ``transform``, and its parameters; what is left out has its default.

    Raises:
        BadParameter: unknown transform, unknown or missing parameter, or a value outside its range.

    Example:
        >>> from_dict({"transform": "RandomGain", "min_gain_db": -3, "max_gain_db": 3})
        RandomGain(p=0.5, min_gain_db=-3.0, max_gain_db=3.0)
    """
    if not isinstance(data, Mapping):
        raise BadParameter(f"A transform is a table with its name under 'transform', not {data!r}.")
    parameters = dict(data)
    kind = _find(parameters.pop("transform", None), _ALL)
    known = {each.name: each for each in fields(kind)}
    for name in parameters:
        if name not in known:
            raise BadParameter(
                f"{kind.__name__} has no parameter {name!r}{suggest(str(name), known)}; "
                f"it has {', '.join(sorted(known))}."
            )
    for name, each in known.items():
        if name not in parameters and each.default is MISSING:
            raise BadParameter(f"{kind.__name__} needs {name!r}.")
    if isinstance(parameters.get("transforms"), list | tuple):
        parameters["transforms"] = [from_dict(each) for each in parameters["transforms"]]
    return kind(**parameters)


def rebuild(samples: Audio, sample_rate: int, steps: Iterable[Mapping[str, Any]]) -> Audio:
    """Take recorded steps again: the same samples give the same copy, bit for bit, without its recipe.

    Args:
        samples: the segment that the copy was made of, float32.
        sample_rate: in Hz.
        steps: what `Augmenter.render`, `Combination.draw` or `Recipe.copy` returned.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``; the result has the same, but for the length where
            a step is SpeedPerturbation's.

    Raises:
        BadAudio: the samples or their rate are not as `Augmenter.render` wants them.
        BadParameter: a step is not one of a transform that is known.

    Example:
        >>> import numpy as np
        >>> rebuild(np.ones(160, np.float32), 8_000, [{"transform": "PolarityInversion"}])[:2]
        array([-1., -1.], dtype=float32)
    """
    check_audio(samples, sample_rate)
    rebuilt = samples.copy()
    for step in steps:
        drawn = dict(step)
        rebuilt = _find(drawn.pop("transform", None), TRANSFORMS).apply(rebuilt, sample_rate, drawn)
    return rebuilt


def _find(name: object, known: Mapping[str, Kind]) -> Kind:
    if not isinstance(name, str) or name not in known:
        raise BadParameter(
            f"{name!r} is not a known transform{suggest(str(name), known)}; "
            f"known are {', '.join(sorted(known))}."
        )
    return known[name]
