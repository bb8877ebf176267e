"""Make a recording louder or quieter, as other microphones and other distances would."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from langaudio.augment.transform import Audio, BadParameter, Drawn, Transform, is_number, peak

# Far below what 16 bits resolve, and enough for the rounding of the product to stay within full scale.
_MARGIN_DB = 1e-5


@dataclass(frozen=True)
class RandomGain(Transform):
    """Change the level by a gain in dB, drawn uniformly, but never past full scale.

    A gain that would lift the peak above ±1 is lowered until the peak just fits, so nothing clips or
    wraps in 16-bit files; samples that are beyond ±1 already are brought back. What is recorded is
    ``gain_db``, the gain that was applied, beside ``wanted_gain_db``, the one that was drawn: they
    differ where full scale was in the way.

    Args:
        min_gain_db: least gain, −120 to 120 dB.
        max_gain_db: greatest gain, −120 to 120 dB.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``, one gain for all; the result has the same.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> tone = 0.5 * np.sin(np.arange(16_000) / 5, dtype=np.float32)
        >>> louder = RandomGain(min_gain_db=12, max_gain_db=12, p=1)
        >>> augmented, steps = louder.render(tone, 16_000, np.random.default_rng(0))
        >>> steps[0]["wanted_gain_db"], round(steps[0]["gain_db"], 2), round(float(augmented.max()), 4)
        (12.0, 6.02, 1.0)
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"gain_db", "wanted_gain_db"})

    min_gain_db: float = -12.0
    max_gain_db: float = 12.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_range("min_gain_db", "max_gain_db", -120, 120)

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        wanted = round(rng.uniform(self.min_gain_db, self.max_gain_db), 4)
        return {"gain_db": min(wanted, headroom_db(samples)), "wanted_gain_db": wanted}

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        gain_db = drawn["gain_db"]
        if not is_number(gain_db) or not -200 <= gain_db <= 200:
            raise BadParameter(f"RandomGain: gain_db={gain_db!r} is not allowed; it is from -200 to 200 dB.")
        return samples * np.float32(10 ** (gain_db / 20))


def headroom_db(samples: Audio) -> float:
    """Return the largest gain in dB with which no sample passes ±1; below 0 if one does already."""
    highest = peak(samples)
    return -20 * math.log10(highest) - _MARGIN_DB if highest else math.inf
