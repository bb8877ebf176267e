"""Encode speech as MP3 at a low bitrate, and decode it: what many recordings of the web have been through."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import soxr

from langaudio.augment.transform import Audio, BadParameter, Drawn, Transform, is_number, peak

_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz, those that MP3 has
_MIN_BITRATE, _MAX_BITRATE = 8, 320  # kbit/s

# LAME begins 576 samples early, the decoder gives 529 more. A frame of a low bitrate has no room to say so,
# and then the decoder does not take them away.
_DELAY = 576 + 529

# LAME turns down what it encodes: up to which bitrate (kbit/s), by which factor. The other side of each limit
# is nearer to the next bitrate that MP3 has.
_TURNED_DOWN = ((176, 0.95), (208, 0.97), (240, 0.98))


@dataclass(frozen=True)
class LossyCodec(Transform):
    """Encode and decode as MP3 (MPEG Layer III) by LAME, at a constant bitrate, drawn uniformly.

    MP3 has certain bitrates at each sample rate (16 to 24 kHz: 8 to 160 kbit/s; below: 8 to 64; above: 32 to
    320): the nearest is taken. Speech does not move by a sample, and length and level stay the same. Samples
    beyond full scale are scaled down for the codec and back afterwards, so that nothing clips. Each channel
    is encoded by itself. The same samples come back with the same libsndfile.

    Args:
        min_bitrate: lowest bitrate, 8 to 320 kbit/s.
        max_bitrate: highest bitrate, 8 to 320 kbit/s. At 16 kHz, 8 sounds like a bad line; of 64, nobody
            hears anything.
        p: probability of being applied.

    Shape:
        samples: ``(samples,)`` or ``(channels, samples)``; the result has the same.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> tone = 0.5 * np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000, dtype=np.float32)
        >>> coded = LossyCodec.apply(tone, 16_000, {"bitrate": 16.0})
        >>> coded.shape, bool(np.corrcoef(coded, tone)[0, 1] > 0.99)
        ((16000,), True)
    """

    drawn_names: ClassVar[frozenset[str]] = frozenset({"bitrate"})

    min_bitrate: float = 8.0
    max_bitrate: float = 64.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_range("min_bitrate", "max_bitrate", _MIN_BITRATE, _MAX_BITRATE)

    def _draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> Drawn:
        return {"bitrate": round(rng.uniform(self.min_bitrate, self.max_bitrate), 2)}

    @classmethod
    def _apply(cls, samples: Audio, sample_rate: int, drawn: Mapping[str, Any]) -> Audio:
        bitrate = drawn["bitrate"]
        if not is_number(bitrate) or not _MIN_BITRATE <= bitrate <= _MAX_BITRATE:
            raise BadParameter(
                f"LossyCodec: bitrate={bitrate!r} is not allowed; it is from {_MIN_BITRATE} to "
                f"{_MAX_BITRATE} kbit/s."
            )
        codec_rate = next(rate for rate in _RATES if rate >= sample_rate)
        # Resampling may pass full scale a little where the samples reach it.
        scale = np.float32(max(1.0, 1.5 * peak(samples) if codec_rate != sample_rate else peak(samples)))
        channels = samples.reshape(-1, samples.shape[-1])
        result = np.zeros_like(channels, order="C")
        for row, channel in zip(result, channels, strict=True):
            if codec_rate == sample_rate:
                coded = _coded(channel / scale, codec_rate, bitrate)
            else:
                coded = _coded(soxr.resample(channel / scale, sample_rate, codec_rate), codec_rate, bitrate)
                coded = soxr.resample(coded, codec_rate, sample_rate)
            row[: len(coded)] = coded[: len(row)]
        result *= scale
        return result.reshape(samples.shape)


def _coded(samples: Audio, sample_rate: int, kbps: float) -> Audio:
    import soundfile

    from langaudio.audio import mp3

    decoded: Audio
    decoded, _ = soundfile.read(io.BytesIO(mp3.encode(samples, sample_rate, kbps)), dtype="float32")
    begin = _DELAY if len(decoded) >= len(samples) + _DELAY else 0
    # Below 32 kHz there are no bitrates beyond 160.
    factor = (
        0.95 if sample_rate < 32_000 else next((each for most, each in _TURNED_DOWN if kbps <= most), 1.0)
    )
    return decoded[begin : begin + len(samples)] / np.float32(factor)
