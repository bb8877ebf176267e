"""Signals whose right answer is known, and measurements on them."""

from functools import lru_cache

import numpy as np

from langaudio.augment.transform import Audio

OPEN = ((700, 80), (1200, 100), (2600, 150))  # formants of an [a] and their bandwidths, Hz


def seconds(duration: float, sample_rate: int) -> np.ndarray:
    return np.arange(round(duration * sample_rate)) / sample_rate


def tone(frequency: float, duration: float = 1.0, sample_rate: int = 16_000, amplitude: float = 0.5) -> Audio:
    return (amplitude * np.sin(2 * np.pi * frequency * seconds(duration, sample_rate))).astype(np.float32)


def noise(duration: float = 1.0, sample_rate: int = 16_000, amplitude: float = 0.1, seed: int = 0) -> Audio:
    drawn = np.random.default_rng(seed).standard_normal(round(duration * sample_rate))
    return (amplitude * drawn).astype(np.float32)


def vowel(pitch: float, duration: float = 2.0, sample_rate: int = 16_000, scale: float = 1.0) -> Audio:
    """An [a] of a voice that glides by a third of an octave around ``pitch`` and swells four times a second.

    ``scale`` multiplies pitch and formants, as a perfect pitch shift does; the level stays the same.
    """
    return _vowel(pitch, duration, sample_rate, scale).copy()


@lru_cache
def _vowel(pitch: float, duration: float, sample_rate: int, scale: float) -> Audio:
    t = seconds(duration, sample_rate)
    instantaneous = pitch * scale * 2 ** (np.sin(2 * np.pi * 0.3 * t) / 6)
    phase = 2 * np.pi * np.cumsum(instantaneous) / sample_rate
    voice = np.zeros_like(t)
    for harmonic in range(1, int(0.45 * sample_rate / instantaneous.max())):
        gain = np.full_like(t, 1 / harmonic)
        for formant, bandwidth in OPEN:
            f = harmonic * instantaneous / scale
            gain = gain * np.abs(formant**2 / (formant**2 - f**2 + 1j * f * bandwidth))
        voice += gain * np.sin(harmonic * phase + 0.3 * harmonic**2)
    voice *= 0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)
    return (0.02 * voice).astype(np.float32)


def level_db(samples: Audio) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def tone_frequency(samples: Audio, sample_rate: int) -> float:
    """The frequency of a tone, by the mean advance of its phase; edges do not count."""
    spectrum = np.fft.fft(samples)
    spectrum[len(samples) // 2 :] = 0
    phase = np.unwrap(np.angle(np.fft.ifft(spectrum)))[len(samples) // 10 : -len(samples) // 10]
    return float(np.polyfit(np.arange(len(phase)), phase, 1)[0] * sample_rate / (2 * np.pi))


def pitch_track(samples: Audio, sample_rate: int, low: int = 50, high: int = 450) -> np.ndarray:
    """The pitch every 10 ms, by YIN (de Cheveigné and Kawahara, 2002) without its last two steps."""
    frame, longest = round(0.05 * sample_rate), sample_rate // low
    track = []
    for start in range(frame, len(samples) - 2 * frame - longest, round(0.01 * sample_rate)):
        around = samples[start : start + frame + longest].astype(np.float64)
        energy = np.convolve(np.square(around), np.ones(frame), mode="valid")
        unlike = energy + energy[0] - 2 * np.correlate(around, around[:frame], mode="valid")
        normalised = unlike[1:] * np.arange(1, len(unlike)) / np.cumsum(unlike[1:])
        first = sample_rate // high
        under = np.flatnonzero(normalised[first:] < 0.2)
        lag = first + (under[0] if len(under) else int(normalised[first:].argmin()))
        while lag + 1 < len(normalised) - 1 and normalised[lag + 1] < normalised[lag]:
            lag += 1
        lag = min(lag, len(normalised) - 2)
        before, there, after = unlike[lag : lag + 3]  # unlike has a lag 0, normalised has none
        track.append(sample_rate / (lag + 1 + (before - after) / 2 / (before - 2 * there + after)))
    return np.array(track)


def cents(frequency: float | np.ndarray, reference: float | np.ndarray) -> np.ndarray:
    return 1200 * np.log2(np.divide(frequency, reference))
