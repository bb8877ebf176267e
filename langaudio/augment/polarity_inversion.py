"""Turn the waveform upside down: ears hear no difference, and neither should a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from langaudio.augment.transform import Audio, Drawn, Transform


@dataclass(frozen=True)
class PolarityInversion(Transform):
    """Multiply by exactly −1.

    Args:
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``; the result has the same.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> samples = np.linspace(0, 1, 160, dtype=np.float32)
        >>> bool((PolarityInversion.apply(samples, 8_000, {}) == -samples).all())
        True
    """

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        return {}

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        return -samples
