"""Play speech faster or slower, as a tape does: tempo, pitch and formants change together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import soxr

from langaudio.augment.transform import MIN_DURATION_S, Audio, BadParameter, Drawn, Transform, is_number

_STEP = 100  # rates are whole hundredths: a fraction so simple is resampled by the fastest filters
_MIN_RATE, _MAX_RATE = 0.5, 2.0


@dataclass(frozen=True)
class SpeedPerturbation(Transform):
    """Resample by a rate, drawn uniformly in steps of 0.01; the length changes, and with it the duration.

    It is the augmentation that helps speech recognition most for its price (Ko et al., *Audio augmentation
    for speech recognition*, Interspeech 2015, with rates of 0.9, 1 and 1.1). What was at the time t comes at
    t / rate; the result has ``round(samples / rate)`` samples. What a higher rate moves beyond half the
    sample rate is lost. A rate that would leave less than 20 ms is lowered.

    This is the one transform that changes the length. In a chain it had best come first: what follows draws
    for the length that it finds.

    Args:
        min_rate: slowest, 0.5 to 2.
        max_rate: fastest, 0.5 to 2.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``; the result has as many channels, and
        ``round(samples / rate)`` samples.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> tone = np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000, dtype=np.float32)
        >>> faster = SpeedPerturbation.apply(tone, 16_000, {"rate": 1.25})
        >>> faster.shape, int(np.argmax(np.abs(np.fft.rfft(faster)))) / 0.8
        ((12800,), 500.0)
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"rate"})
    keeps_length: ClassVar[bool] = False

    min_rate: float = 0.9
    max_rate: float = 1.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_range("min_rate", "max_rate", _MIN_RATE, _MAX_RATE)

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        wanted = rng.uniform(self.min_rate, self.max_rate)
        # Half a sample less, so that rounding cannot leave too little.
        most = samples.shape[-1] / (int(MIN_DURATION_S * sample_rate) + 0.5)
        steps = round(wanted * _STEP)
        return {"rate": min(steps, max(_STEP, int(most * _STEP))) / _STEP}

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        rate = drawn["rate"]
        if not is_number(rate) or not _MIN_RATE <= rate <= _MAX_RATE:
            raise BadParameter(f"SpeedPerturbation: rate={rate!r} is not allowed; it is from 0.5 to 2.")
        ratio = Fraction(rate).limit_denominator(_STEP)
        length = round(samples.shape[-1] / ratio)
        channels = samples.reshape(-1, samples.shape[-1])
        result = np.zeros((len(channels), length), np.float32)
        for row, channel in zip(result, channels, strict=True):
            played = soxr.resample(channel, ratio.numerator, ratio.denominator)[:length]
            row[: len(played)] = played
        return result.reshape(*samples.shape[:-1], length)
