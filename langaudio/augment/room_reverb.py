"""Put a speaker into a room, by an impulse response that is made up for every copy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from langaudio.augment.transform import Audio, BadParameter, Drawn, Transform, is_number

_FIRST_REFLECTION_S = 0.002  # 70 cm longer than the direct path
_MIXING_TIME_S = 0.03  # from here on reflections are too many to be told apart
_MIN_RT60, _MAX_RT60 = 0.05, 3.0
_MIN_DRR_DB, _MAX_DRR_DB = -20.0, 40.0
_BLOCK_TIMES_RESPONSE = 4


@dataclass(frozen=True)
class RoomReverb(Transform):
    """Add the reverberation of a room: its decay time and its level against the direct sound are drawn.

    The response is Polack's model of a room: Gaussian noise that decays by 60 dB in the time RT60 (J.-D.
    Polack, *La transmission de l'énergie sonore dans les salles*, 1988), thinned out in its first 30 ms,
    where reflections come one by one, ever denser with the square of time (H. Kuttruff, *Room acoustics*,
    chapter 4). The direct sound comes first and without delay, so that speech stays where it is to the
    sample. The ratio of its energy to all that follows is the direct-to-reverberant ratio: 15 dB near a
    microphone, 0 dB some metres away from it.

    The level (root mean square) stays the same. The length does too: what reverberates beyond the end is
    cut off. Silence stays silence.

    Args:
        min_target_rt60: shortest decay by 60 dB, 0.05 to 3 s.
        max_target_rt60: longest, 0.05 to 3 s. A living room has 0.4 s, a classroom 0.7 s, a church 3 s.
        min_drr_db: least direct-to-reverberant ratio, −20 to 40 dB.
        max_drr_db: greatest, −20 to 40 dB.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``, one room for all; the result has the same.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> click = np.zeros(16_000, dtype=np.float32)
        >>> click[4_000] = 0.5
        >>> drawn = {"rt60": 0.5, "drr_db": 0.0, "room_seed": 1}
        >>> heard = RoomReverb.apply(click, 16_000, drawn)
        >>> int(np.argmax(heard)), bool(np.abs(heard[:4_000]).max() < 1e-6)
        (4000, True)
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"rt60", "drr_db", "room_seed"})

    min_target_rt60: float = 0.15
    max_target_rt60: float = 0.8
    min_drr_db: float = 0.0
    max_drr_db: float = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_range("min_target_rt60", "max_target_rt60", _MIN_RT60, _MAX_RT60)
        self._require_range("min_drr_db", "max_drr_db", _MIN_DRR_DB, _MAX_DRR_DB)

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        # 53 bits: every JSON reader keeps the number.
        return {
            "rt60": round(rng.uniform(self.min_target_rt60, self.max_target_rt60), 4),
            "drr_db": round(rng.uniform(self.min_drr_db, self.max_drr_db), 4),
            "room_seed": int(rng.integers(2**53)),
        }

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        _check_drawn(**drawn)
        reverberation = reverberation_of(sample_rate, **drawn)
        heard = samples + _convolved(samples, reverberation)
        before, after = _energy(samples), _energy(heard)
        if not after:
            return samples.copy()
        heard *= np.float32(math.sqrt(before / after))
        return heard


def reverberation_of(sample_rate: int, rt60: float, drr_db: float, room_seed: int) -> npt.NDArray[np.float32]:
    """Return a room's response to an impulse of 1, but for the impulse itself, which comes at 0.

    It ends where it has decayed by 60 dB.

    Args:
        sample_rate: in Hz.
        rt60: time in which it decays by 60 dB, in seconds.
        drr_db: energy of the impulse against that of the result, in dB.
        room_seed: another one is another room.
    """
    rng = np.random.Generator(np.random.SFC64(room_seed))
    time_s = np.arange(round(rt60 * sample_rate) + 1, dtype=np.float32) / np.float32(sample_rate)
    response = rng.standard_normal(len(time_s), dtype=np.float32)
    response *= np.exp(np.float32(-3 * math.log(10) / rt60) * time_s)
    # Fewer reflections are stronger ones: the energy stays what it is.
    early = round(_MIXING_TIME_S * sample_rate)
    density = np.square(time_s[1:early] / np.float32(_MIXING_TIME_S))
    comes = rng.random(len(density), dtype=np.float32) < density
    response[1:early] *= comes / np.sqrt(density)
    response[: round(_FIRST_REFLECTION_S * sample_rate)] = 0
    response *= np.float32(math.sqrt(10 ** (-drr_db / 10) / _energy(response)))
    return response


def _convolved(samples: Audio, response: npt.NDArray[np.float32]) -> Audio:
    """Return the convolution, as long as the samples, by overlap-add of blocks that fit a cache.

    Shape:
        samples: ``(…, samples)``; the result has the same.
    """
    import scipy.fft  # takes long, and few recipes need it

    length = samples.shape[-1]
    size = scipy.fft.next_fast_len(min(length, _BLOCK_TIMES_RESPONSE * len(response)) + len(response), True)
    step = size - len(response) + 1
    spectrum = scipy.fft.rfft(response, size)
    result = np.zeros(samples.shape, np.float32)
    for begin in range(0, length, step):
        block = scipy.fft.rfft(samples[..., begin : begin + step], size)
        block *= spectrum
        end = min(begin + size, length)
        result[..., begin:end] += scipy.fft.irfft(block, size)[..., : end - begin]
    return result


def _energy(samples: npt.NDArray[np.float32]) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def _check_drawn(rt60: object, drr_db: object, room_seed: object) -> None:
    if not is_number(rt60) or not _MIN_RT60 <= rt60 <= _MAX_RT60:
        raise BadParameter(f"RoomReverb: rt60={rt60!r} is not allowed; it is from 0.05 to 3 s.")
    if not is_number(drr_db) or not _MIN_DRR_DB <= drr_db <= _MAX_DRR_DB:
        raise BadParameter(f"RoomReverb: drr_db={drr_db!r} is not allowed; it is from -20 to 40 dB.")
    if isinstance(room_seed, bool) or not isinstance(room_seed, int) or room_seed < 0:
        raise BadParameter(
            f"RoomReverb: room_seed={room_seed!r} is not allowed; it is a whole number from 0."
        )
