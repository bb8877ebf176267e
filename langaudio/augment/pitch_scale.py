"""Make a voice higher or lower without making it faster or slower: another speaker says the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import soxr

from langaudio.augment.stretch import stretch_to
from langaudio.augment.transform import Audio, BadParameter, Drawn, Transform, is_number

_MAX_SEMITONES = 24

# Errors below −96 dB, the step of the 16-bit files that copies become; soxr's default, 20 bits, takes half as
# long again.
_QUALITY = "MQ"

# soxr keeps a filter for every phase of such a fraction, and has to interpolate them for any other ratio. For
# that the pitch is off by at most 1.8 cents, and by no more than 0.1 but next to simple ratios.
_MAX_DENOMINATOR = 500


@dataclass(frozen=True)
class PitchScale(Transform):
    """Shift the pitch by semitones, drawn uniformly; the length stays the same to the sample.

    The clip is resampled, which shifts pitch and formants alike as a shorter or longer vocal tract
    does, and then brought back to its length by `langaudio.augment.stretch`. For voices and tones from
    80 Hz and shifts of up to 4 semitones, pitch is right within 5 cents and level within 0.5 dB; an
    onset moves by less than 10 ms and is played once. What a shift up moves beyond half the sample rate
    is lost; what a shift down leaves empty below it stays empty.

    Args:
        min_semitones: lowest shift, −24 to 24.
        max_semitones: highest shift, −24 to 24.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``; the result has the same.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> tone = np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000, dtype=np.float32)
        >>> lower = PitchScale.apply(tone, 16_000, {"semitones": -12.0})
        >>> lower.shape, int(np.argmax(np.abs(np.fft.rfft(lower))))
        ((16000,), 200)
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"semitones"})

    min_semitones: float = -4.0
    max_semitones: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_range("min_semitones", "max_semitones", -_MAX_SEMITONES, _MAX_SEMITONES)

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        return {"semitones": round(rng.uniform(self.min_semitones, self.max_semitones), 4)}

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        semitones = drawn["semitones"]
        if not is_number(semitones) or not abs(semitones) <= _MAX_SEMITONES:
            raise BadParameter(f"PitchScale: semitones={semitones!r} is not allowed; it is from -24 to 24.")
        ratio = Fraction(2 ** (semitones / 12)).limit_denominator(_MAX_DENOMINATOR)
        channels = samples.reshape(-1, samples.shape[-1])
        scaled = np.stack(
            [soxr.resample(each, ratio.numerator, ratio.denominator, quality=_QUALITY) for each in channels]
        )
        return stretch_to(scaled, samples.shape[-1], sample_rate).reshape(samples.shape)
