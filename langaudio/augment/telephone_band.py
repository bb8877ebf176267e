"""Let speech go through a telephone: a narrow band, 8,000 samples a second, eight bits each."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import soxr

from langaudio.augment.transform import Audio, BadParameter, Drawn, Transform

_RATE = 8_000  # Hz
_LOW, _HIGH = 300.0, 3_400.0  # Hz, where the filter is 6 dB down
_TAPS = 257  # an odd number: the filter has a middle, and delays nothing
_BLOCK = 4_096
_LAWS = {"mu-law": "ULAW", "A-law": "ALAW"}
_ANY = "any"


@dataclass(frozen=True)
class TelephoneBand(Transform):
    """Limit speech to the telephone's band, 300 to 3,400 Hz, and compand it by G.711.

    The clip is resampled to 8 kHz, filtered, coded with eight bits a sample by one of the two laws of ITU-T
    G.711 (μ-law in North America and Japan, A-law elsewhere), decoded, and resampled to where it was. The
    filter is symmetrical, so that speech does not move: from 400 to 3,300 Hz it is flat within 0.5 dB; below
    200 and from 3,500 Hz on, it is 40 dB down or more, before companding adds its own noise, which is
    some 38 dB below speech that is not faint. What passes full scale is clipped, as the line does.
    Silence stays silence.

    Args:
        law: ``"mu-law"``, ``"A-law"``, or ``"any"``, which draws one of them.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``; the result has the same.

    Raises:
        BadParameter: a parameter is none of those allowed.

    Example:
        >>> import numpy as np
        >>> low, high = (0.2 * np.sin(2 * np.pi * f * np.arange(16_000) / 16_000) for f in (100, 1_000))
        >>> heard = TelephoneBand.apply((low + high).astype(np.float32), 16_000, {"law": "A-law"})
        >>> strength = np.abs(np.fft.rfft(heard)) / 8_000
        >>> bool(strength[100] < 0.002), round(float(strength[1_000]), 2)
        (True, 0.2)
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"law"})

    law: str = _ANY

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.law not in (*_LAWS, _ANY):
            raise BadParameter(
                f"TelephoneBand: law={self.law!r} is not allowed; it is one of {', '.join((*_LAWS, _ANY))}."
            )

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        drawn = list(_LAWS)[rng.integers(len(_LAWS))]
        return {"law": drawn if self.law == _ANY else self.law}

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        law = drawn["law"]
        if law not in _LAWS:
            raise BadParameter(f"TelephoneBand: law={law!r} is not allowed; it is mu-law or A-law.")
        channels = samples.reshape(-1, samples.shape[-1])
        result = np.zeros_like(channels, order="C")
        for row, channel in zip(result, channels, strict=True):
            heard = _resampled(
                _companded(_filtered(_resampled(channel, sample_rate, _RATE)), law), _RATE, sample_rate
            )
            row[: len(heard)] = heard[: len(row)]
        return result.reshape(samples.shape)


def _resampled(samples: Audio, from_rate: int, to_rate: int) -> Audio:
    resampled: Audio = samples if from_rate == to_rate else soxr.resample(samples, from_rate, to_rate)
    return resampled


def _filtered(samples: Audio) -> Audio:
    """Filter by overlap-add, without delay; shape ``(samples,)``."""
    import scipy.fft  # takes long, and few recipes need it

    half = _TAPS // 2
    step = _BLOCK - _TAPS + 1
    blocks = -(-len(samples) // step)
    padded = np.zeros((blocks, _BLOCK), np.float32)
    padded[:, :step].flat[: len(samples)] = samples
    spectra = scipy.fft.rfft(padded)
    spectra *= _band()
    overlapping = scipy.fft.irfft(spectra, _BLOCK)
    result = np.zeros(blocks * step + _TAPS - 1, np.float32)
    result[: blocks * step] = overlapping[:, :step].ravel()
    for block in range(blocks):
        end = (block + 1) * step
        result[end : end + _TAPS - 1] += overlapping[block, step:]
    return result[half : half + len(samples)]


@lru_cache(maxsize=1)
def _band() -> npt.NDArray[np.complex64]:
    """Return the spectrum of the filter: a difference of two sincs under a Kaiser window."""
    import scipy.fft

    time = np.arange(_TAPS) - _TAPS // 2
    ideal = [2 * edge / _RATE * np.sinc(2 * edge / _RATE * time) for edge in (_LOW, _HIGH)]
    taps = (ideal[1] - ideal[0]) * np.kaiser(_TAPS, 5.0)
    spectrum: npt.NDArray[np.complex64] = scipy.fft.rfft(taps.astype(np.float32), _BLOCK)
    return spectrum


def _companded(samples: Audio, law: str) -> Audio:
    sixteen_bits = np.clip(np.rint(samples * np.float32(2**15)), -(2**15), 2**15 - 1).astype(np.int16)
    return _table(law)[sixteen_bits.view(np.uint16)]


@lru_cache(maxsize=len(_LAWS))
def _table(law: str) -> Audio:
    """Return what each 16-bit number comes out as, as float32; shape ``(65536,)``."""
    import soundfile

    line = io.BytesIO()
    layout: dict[str, Any] = {"format": "RAW", "subtype": _LAWS[law]}
    soundfile.write(line, np.arange(2**16, dtype=np.uint16).view(np.int16), _RATE, **layout)
    line.seek(0)
    table: Audio
    table, _ = soundfile.read(line, dtype="float32", channels=1, samplerate=_RATE, **layout)
    # A-law has no zero: it would make direct current of digital silence.
    table[0] = 0
    return table
