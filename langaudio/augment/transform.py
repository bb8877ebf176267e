"""What every transform is: a frozen dataclass; drawing its parameters is apart from applying them.

Drawing takes all the randomness there is; applying is a pure function of the samples and of what was
drawn. So a list of steps, ``[{"transform": "PitchScale", "semitones": -1.3}, …]``, is all that it takes
to make a copy again (`langaudio.augment.rebuild`).

A new transform is a module with one class here and a row in `langaudio.augment.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeGuard

import numpy as np
import numpy.typing as npt

from langaudio.errors import LangaudioError

Audio = npt.NDArray[np.float32]
Drawn = dict[str, Any]
Step = dict[str, Any]

MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 48_000
MIN_DURATION_S = 0.02

# Float samples are within ±1 or, inside a chain, a little beyond. This far out they are 16-bit integers
# that somebody cast but did not scale.
_MAX_PEAK = 1_000.0


class BadParameter(LangaudioError, ValueError):
    """A transform was given a value that it cannot take, or a name that it does not know."""


class BadAudio(LangaudioError, ValueError):
    """Samples or a sample rate that no transform can work on."""


@dataclass(frozen=True)
class Augmenter(ABC):
    """What turns samples into other samples at random: a transform, or a combination of several.

    Args:
        p: probability of being applied, 0 to 1.
    """

    p: float = field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        self._require("p", 0, 1)

    def __call__(self, samples: Audio, sample_rate: int, rng: np.random.Generator) -> Audio:
        """Draw and apply; see `render`."""
        return self.render(samples, sample_rate, rng)[0]

    def render(self, samples: Audio, sample_rate: int, rng: np.random.Generator) -> tuple[Audio, list[Step]]:
        """Draw and apply, and return the new samples with the steps that were taken.

        Args:
            samples: float32, full scale is ±1; left as they are.
            sample_rate: in Hz, 8,000 to 48,000.
            rng: the only source of randomness.

        Shape:
            samples: ``(samples,)`` or ``(channels, samples)``, at least 20 ms; the result has the same, but
                for the length where a transform does not keep it (``Transform.keeps_length``).

        Raises:
            BadAudio: the samples or their rate are not as above.
            BadParameter: a parameter does not go with this sample rate.
        """
        check_audio(samples, sample_rate)
        rendered, steps = self._render(samples, sample_rate, rng)
        return (rendered if steps else samples.copy()), steps

    def to_dict(self) -> dict[str, Any]:
        """Return the name and all parameters, ready for JSON or TOML; `from_dict` reads it back."""
        return {"transform": type(self).__name__} | {
            each.name: _plain(getattr(self, each.name)) for each in fields(self)
        }

    @abstractmethod
    def _render(self, samples: Audio, sample_rate: int, rng: np.random.Generator) -> tuple[Audio, list[Step]]:
        """Do the work of `render` on samples that were checked; without steps, return them themselves."""

    def _require(self, name: str, low: float, high: float) -> None:
        """Refuse a field that is not a number from ``low`` to ``high``; else keep it as a float."""
        value = getattr(self, name)
        if not is_number(value) or not low <= value <= high:
            raise BadParameter(
                f"{type(self).__name__}: {name}={value!r} is not allowed; "
                f"it is a number from {low:g} to {high:g}."
            )
        object.__setattr__(self, name, float(value))

    def _require_range(self, low_name: str, high_name: str, low: float, high: float) -> None:
        """Refuse two fields that are not the ends of a range within ``low`` to ``high``."""
        self._require(low_name, low, high)
        self._require(high_name, low, high)
        first, last = getattr(self, low_name), getattr(self, high_name)
        if first > last:
            raise BadParameter(
                f"{type(self).__name__}: {low_name}={first:g} is above {high_name}={last:g}; "
                f"both are from {low:g} to {high:g}, in this order."
            )


@dataclass(frozen=True)
class Transform(Augmenter):
    """One kind of change, for example a pitch shift; a subclass says how to draw and how to apply it."""

    drawn_names: ClassVar[frozenset[str]] = frozenset()
    """What `draw` returns, by name."""
    keeps_length: ClassVar[bool] = True
    """Whether the result has as many samples. It has at least 20 ms in any case."""

    def draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn | None:
        """Return parameters for these samples, ready for JSON; None where chance (`p`) leaves them alone.

        Raises:
            BadAudio: the samples or their rate are not as `render` wants them.
            BadParameter: a parameter does not go with this sample rate.
        """
        check_audio(samples, sample_rate)
        return self._draw(rng, samples, sample_rate) if self._chosen(rng) else None

    @classmethod
    def apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        """Return new samples, changed by exactly what was drawn; needs no instance.

        Raises:
            BadAudio: the samples or their rate are not as `render` wants them.
            BadParameter: ``drawn`` is not what `draw` returns, or not for samples like these.
        """
        check_audio(samples, sample_rate)
        if drawn.keys() != cls.drawn_names:
            raise BadParameter(
                f"{cls.__name__} is applied with {sorted(cls.drawn_names)}, not with {sorted(drawn)}."
            )
        return cls._apply(samples, sample_rate, drawn)

    def _render(self, samples: Audio, sample_rate: int, rng: np.random.Generator) -> tuple[Audio, list[Step]]:
        if not self._chosen(rng):
            return samples, []
        drawn = self._draw(rng, samples, sample_rate)
        return self._apply(samples, sample_rate, drawn), [{"transform": type(self).__name__, **drawn}]

    def _chosen(self, rng: np.random.Generator) -> bool:
        return bool(rng.random() < self.p)

    @abstractmethod
    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn: ...

    @classmethod
    @abstractmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio: ...


def check_audio(samples: Audio, sample_rate: int) -> None:
    """Refuse samples that no transform can work on.

    Raises:
        BadAudio: not float32, not ``(samples,)`` or ``(channels, samples)``, shorter than 20 ms, not
            finite, far beyond full scale, or at a rate outside 8 to 48 kHz.
    """
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32:
        kind = getattr(samples, "dtype", type(samples).__name__)
        raise BadAudio(f"Samples are a float32 array within ±1, not {kind}; divide 16-bit integers by 32768.")
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer):
        raise BadAudio(f"The sample rate is a whole number of Hz, not {sample_rate!r}.")
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise BadAudio(f"A sample rate of {sample_rate} Hz is not allowed; it is from 8000 to 48000 Hz.")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[0] <= samples.shape[1]):
        raise BadAudio(f"Samples have the shape (samples,) or (channels, samples), not {samples.shape}.")
    if samples.shape[-1] < int(MIN_DURATION_S * sample_rate):
        raise BadAudio(
            f"{samples.shape[-1]} samples at {sample_rate} Hz are less than 20 ms: too short to augment."
        )
    # No sample exceeds the root of their energy, and one pass tells that; it is NaN if any sample is.
    flat = samples.reshape(-1)
    if np.dot(flat, flat) <= _MAX_PEAK**2:
        return
    highest = peak(samples)
    if not highest <= _MAX_PEAK:
        raise BadAudio(
            f"Samples reach {highest:g}; they are finite and within ±1 (divide 16-bit integers by 32768)."
        )


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether this is a number; a bool is none, though Python thinks so."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def peak(samples: Audio) -> float:
    """Return the largest magnitude; NaN if any sample is."""
    return max(float(samples.max()), -float(samples.min()))


def _plain(value: Any) -> Any:
    if isinstance(value, Augmenter):
        return value.to_dict()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
