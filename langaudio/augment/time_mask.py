"""Silence a stretch of the waveform, so that no single sound decides what language it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from langaudio.augment.transform import Audio, BadParameter, Drawn, Transform


@dataclass(frozen=True)
class TimeMask(Transform):
    """Silence one stretch, with fades inside its ends; all else is untouched bit for bit.

    The stretch's share of the clip and its place are drawn uniformly. SpecAugment (Park et al., 2019)
    masks spectrograms in the same way. The fades are raised cosines, shortened where the stretch has no
    room for them, so that some of it is always silent.

    Args:
        min_band_part: least share of the clip, 0 to 1.
        max_band_part: greatest share of the clip, 0 to 1.
        fade_duration: of each fade, in seconds, 0 to 1; 0 cuts hard.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``, all channels alike; the result has the same.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> samples = np.ones(16_000, dtype=np.float32)
        >>> drawn = {"start_sample": 4_000, "mask_samples": 1_600, "fade_samples": 80}
        >>> masked = TimeMask.apply(samples, 16_000, drawn)
        >>> int((masked == 1).sum()), int((masked == 0).sum())
        (14400, 1440)
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"start_sample", "mask_samples", "fade_samples"})

    min_band_part: float = 0.01
    max_band_part: float = 0.2
    fade_duration: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_range("min_band_part", "max_band_part", 0, 1)
        self._require("fade_duration", 0, 1)

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        length = samples.shape[-1]
        masked = round(length * rng.uniform(self.min_band_part, self.max_band_part))
        return {
            "start_sample": int(rng.integers(length - masked + 1)),
            "mask_samples": masked,
            "fade_samples": min(round(self.fade_duration * sample_rate), max(masked - 1, 0) // 2),
        }

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        start, masked, fade = (drawn[name] for name in ("start_sample", "mask_samples", "fade_samples"))
        end = start + masked
        if not (0 <= start <= end <= samples.shape[-1] and 0 <= 2 * fade <= masked):
            raise BadParameter(
                f"TimeMask: {dict(drawn)} is not allowed; the mask lies within the {samples.shape[-1]} "
                "samples, and its two fades within the mask."
            )
        result = samples.copy()
        # The ramp leaves out its end points, 1 and 0, which the samples beside it stand for.
        ramp = (0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / (fade + 1))).astype(np.float32)
        result[..., start : start + fade] *= ramp
        result[..., start + fade : end - fade] = 0
        result[..., end - fade : end] *= ramp[::-1]
        return result
