"""Add white noise at a signal-to-noise ratio that is measured where somebody speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from langaudio.augment.compiled import compiled
from langaudio.augment.transform import Audio, BadParameter, Drawn, Transform, is_number

_FRAME_S = 0.01
_GATE = 10 ** (-20 / 10)


@dataclass(frozen=True)
class WhiteNoise(Transform):
    """Add Gaussian white noise; its power is that of the speech less an SNR in dB, drawn uniformly.

    The power of the speech is `speech_power`'s: pauses do not count, so a clip with long pauses gets no
    less noise than one without. The noise has exactly the wanted power over the clip, is independent in
    each channel, and is as loud in pauses as elsewhere. Silence stays silence. The sum may pass full
    scale where the speech fills it; `Recipe.copy` sees to that.

    Args:
        min_snr_db: least ratio of speech to noise, −40 to 120 dB.
        max_snr_db: greatest ratio, −40 to 120 dB.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``; the result has the same.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> tone = np.sin(np.arange(16_000) / 5, dtype=np.float32)
        >>> noisy = WhiteNoise(min_snr_db=20, max_snr_db=20, p=1)(tone, 16_000, np.random.default_rng(0))
        >>> round(20 * float(np.log10(tone.std() / (noisy - tone).std())), 2)
        20.0
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"snr_db", "noise_seed"})

    min_snr_db: float = 5.0
    max_snr_db: float = 40.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_range("min_snr_db", "max_snr_db", -40, 120)

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        # 53 bits: every JSON reader keeps the number.
        return {
            "snr_db": round(rng.uniform(self.min_snr_db, self.max_snr_db), 4),
            "noise_seed": int(rng.integers(2**53)),
        }

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        snr_db, seed = drawn["snr_db"], drawn["noise_seed"]
        if not is_number(snr_db) or not -40 <= snr_db <= 120:
            raise BadParameter(f"WhiteNoise: snr_db={snr_db!r} is not allowed; it is from -40 to 120 dB.")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise BadParameter(
                f"WhiteNoise: noise_seed={seed!r} is not allowed; it is a whole number from 0."
            )
        noise = _gaussian(samples.size, seed).reshape(samples.shape)
        power = speech_power(samples, sample_rate) / 10 ** (snr_db / 10)
        energy = _frame_energies(noise.reshape(-1), noise.size)[0]
        noise *= np.float32(np.sqrt(power * noise.size / energy))
        noise += samples
        return noise


def _gaussian(number: int, seed: int) -> Audio:
    """Draw from the normal distribution in 65,536 steps of equal probability.

    Noise in 16-bit files has no finer ones. A look-up takes a quarter of the time of NumPy's ziggurat.
    """
    # SFC64 is NumPy's fastest generator; a copy needs no jumps or streams of it.
    drawn = np.random.SFC64(seed).random_raw(-(-number // 4))
    # Little-endian everywhere, so that all machines draw the same.
    return _quantiles().take(drawn.astype("<u8", copy=False).view("<u2")[:number])


@lru_cache(maxsize=1)
def _quantiles() -> Audio:
    """Return the middles of the steps, from about −4.3 to 4.3."""
    shares = (np.arange(2**16) + 0.5) / 2**16
    return np.fromiter(map(NormalDist().inv_cdf, shares.tolist()), np.float32, len(shares))


def speech_power(samples: Audio, sample_rate: int) -> float:
    """Return the mean power of a clip where somebody speaks, pauses left out.

    The clip is cut into frames of 10 ms. The loudest frames that together carry half of the energy are
    speech beyond doubt, and the quietest of them is a level that neither pauses nor a single click can
    move. Every frame down to 20 dB below that level is speech; the rest are pauses. ITU-T P.56
    (*Objective measurement of active speech level*) is the same idea with a margin of 15.9 dB below the
    active level and pauses under 0.2 s counted as speech; what it finds on speech is 0.8 dB lower.

    Args:
        samples: float32; channels are averaged in power.
        sample_rate: in Hz.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``.

    Example:
        >>> import numpy as np
        >>> speech = np.sin(np.arange(16_000) / 5, dtype=np.float32)
        >>> with_pause = np.concatenate([speech, np.zeros(48_000, np.float32)])
        >>> round(speech_power(with_pause, 16_000), 2)
        0.5
    """
    frame = round(_FRAME_S * sample_rate)
    energies = np.mean([_frame_energies(channel, frame) for channel in np.atleast_2d(samples)], axis=0)
    lengths = np.diff(np.arange(0, samples.shape[-1], frame), append=samples.shape[-1])
    powers = energies / lengths
    loudest_first = np.argsort(-powers)
    running = np.cumsum(energies[loudest_first])
    level = powers[loudest_first[np.searchsorted(running, running[-1] / 2)]]
    speech = powers >= level * _GATE
    return float(energies[speech].sum() / lengths[speech].sum())


@compiled
def _frame_energies(samples: Audio, frame: int) -> npt.NDArray[np.float64]:
    """Return the sum of squares of each frame.

    Four sums take turns: a processor need not wait for one addition before the next, and all processors add
    in the same order.
    """
    energies = np.zeros(-(-len(samples) // frame))
    for number in range(len(energies)):
        within = samples[number * frame : (number + 1) * frame]
        a = b = c = d = 0.0
        for quarter in range(len(within) // 4):
            i = 4 * quarter
            a += float(within[i]) * float(within[i])
            b += float(within[i + 1]) * float(within[i + 1])
            c += float(within[i + 2]) * float(within[i + 2])
            d += float(within[i + 3]) * float(within[i + 3])
        for sample in within[len(within) // 4 * 4 :]:
            a += float(sample) * float(sample)
        energies[number] = a + b + (c + d)
    return energies
