"""How right a transform is: the promises of the six, measured on signals and on speech.

Every measure takes a transform as ``peers`` makes it and gives plain numbers, the closer to zero the better
unless its name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import soxr
from augmenting.peers import Audio, Parameters, Transform
from scipy.signal import butter, sosfilt, welch

from langaudio.augment.white_noise import speech_power
from tests.augment.signals import cents, level_db, noise, pitch_track, tone, tone_frequency, vowel

RATE = 16_000
_PITCHES_HZ = 60, 600


def pitch_scale(transform: Transform, speech: Sequence[Audio], given: Parameters) -> dict[str, float]:
    ratio = 2 ** (given.semitones / 12)
    tones = [110, 220, 440, 1_237]
    shifted = {frequency: transform(tone(frequency, 3), RATE) for frequency in tones}
    voices = [85, 120, 210, 320]
    said = {pitch: (transform(vowel(pitch), RATE), vowel(pitch, scale=ratio)) for pitch in voices}
    heard = [pitch_track(transform(each, RATE), RATE, *_PITCHES_HZ) for each in speech]
    recorded = [pitch_track(each, RATE, *(round(pitch / ratio) for pitch in _PITCHES_HZ)) for each in speech]
    deviations = [_deviation(track, each, ratio) for track, each in zip(heard, speech, strict=True)]
    unmoved = [_deviation(track * ratio, each, ratio) for track, each in zip(recorded, speech, strict=True)]
    return {
        "tone_error_cents": max(
            float(abs(cents(tone_frequency(heard, RATE), frequency * ratio)))
            for frequency, heard in shifted.items()
        ),
        "voice_error_cents": max(_voice_error(heard, wanted) for heard, wanted in said.values()),
        "speech_error_cents": max(abs(float(np.median(each))) for each in deviations),
        "speech_jitter_cents": float(np.median(np.abs(np.concatenate(deviations)))),
        # What the measure itself makes of a pitch that is right: that of the speech, scaled.
        "jitter_of_recorded_speech": float(np.median(np.abs(np.concatenate(unmoved)))),
        "level_error_db": max(abs(level_db(heard) - level_db(wanted)) for heard, wanted in said.values()),
        "length_error_samples": max(abs(len(heard) - 3 * RATE) for heard in shifted.values()),
        "onset_smear_ms": _onset_smear_ms(transform),
    }


def high_pass_filter(transform: Transform, speech: Sequence[Audio], given: Parameters) -> dict[str, float]:
    def gain_db(frequency: float) -> float:
        samples = tone(frequency, 3, amplitude=0.4)
        return float(level_db(transform(samples, RATE)[RATE:-RATE]) - level_db(samples[RATE:-RATE]))

    cutoff = given.cutoff_freq
    slope = gain_db(cutoff / 4) - gain_db(cutoff / 8)
    return {
        "cutoff_error_db": abs(gain_db(cutoff) + 3.01),
        "slope_error_db_per_octave": abs(slope - given.rolloff),
        "passband_error_db": max(abs(gain_db(frequency)) for frequency in (2 * cutoff, 4 * cutoff, 6_000)),
    }


def white_noise(transform: Transform, speech: Sequence[Audio], given: Parameters) -> dict[str, float]:
    errors = []
    for each in speech:
        paused = np.concatenate([each, np.zeros(2 * len(each), np.float32)])
        added = transform(paused, RATE) - paused
        errors.append(10 * np.log10(speech_power(each, RATE) / np.mean(np.square(added))) - given.snr_db)
    samples = tone(1_000, 60)
    density = 10 * np.log10(welch(transform(samples, RATE) - samples, RATE, nperseg=64)[1][1:-1])
    return {
        "snr_error_db_with_pauses": float(np.max(np.abs(errors))),
        "flatness_db": float(np.max(np.abs(density - density.mean()))),
    }


def time_mask(transform: Transform, speech: Sequence[Audio], given: Parameters) -> dict[str, float]:
    # A tone whose derivative is known: what is steeper than a fade may be is a click.
    samples = tone(50, 10, amplitude=1.0) + np.float32(2)
    masked = transform(samples, RATE)
    silent = masked == 0
    steepest = float(np.abs(np.diff(masked)).max())
    touched, wanted = np.flatnonzero(masked != samples), round(given.band_part * len(samples))
    return {
        "silent_share_error": abs(float(silent.mean()) - given.band_part),
        "touched_outside_samples": float(touched[-1] - touched[0] + 1 - wanted),
        "steepest_step": steepest,
    }


def random_gain(transform: Transform, speech: Sequence[Audio], given: Parameters) -> dict[str, float]:
    return {
        "gain_error_db": max(
            abs(float(level_db(transform(each, RATE)) - level_db(each)) - given.gain_db) for each in speech
        )
    }


def polarity_inversion(transform: Transform, speech: Sequence[Audio], given: Parameters) -> dict[str, float]:
    return {"error": max(float(np.abs(transform(each, RATE) + each).max()) for each in speech)}


MEASURES: dict[str, Callable[[Transform, Sequence[Audio], Parameters], dict[str, float]]] = {
    "PitchScale": pitch_scale,
    "HighPassFilter": high_pass_filter,
    "WhiteNoise": white_noise,
    "TimeMask": time_mask,
    "RandomGain": random_gain,
    "PolarityInversion": polarity_inversion,
}


def _voice_error(heard: Audio, wanted: Audio) -> float:
    one, other = pitch_track(heard, RATE), pitch_track(wanted, RATE)
    shortest = min(len(one), len(other))
    return float(np.percentile(np.abs(cents(one[:shortest], other[:shortest])), 95))


def _deviation(track: np.ndarray, samples: Audio, ratio: float) -> np.ndarray:
    """Compare a pitch track (Hz) with that of the same speech played faster, whose pitch is right; in cents.

    Frames whose pitch is steady count, and those that a tracker did not take for an octave off.
    """
    faster = pitch_track(soxr.resample(samples, RATE * ratio, RATE), RATE, *_PITCHES_HZ)
    # The tracks begin at 50 ms, in steps of 10 ms.
    times = 5 + np.arange(len(track))
    wanted = np.interp(times / ratio, 5 + np.arange(len(faster)), faster)
    steady = np.abs(cents(np.roll(wanted, 1), wanted)) < 30
    deviation = np.asarray(cents(track, wanted))[steady]
    return deviation[np.abs(deviation) < 200]


def _onset_smear_ms(transform: Transform) -> float:
    """Return how long a click of 1 ms takes to be over: 5 to 95 % of its energy, the median of many."""
    samples = noise(4, amplitude=0.002)
    clicks = np.cumsum(np.random.default_rng(1).integers(2_000, 2_500, size=26)) + 1_000
    pulse = (0.8 * np.hanning(18)[1:-1] * np.cos(1.5 * np.arange(16))).astype(np.float32)
    for click in clicks:
        samples[click : click + 16] += pulse
    high = sosfilt(butter(4, 2_000, "highpass", fs=RATE, output="sos"), transform(samples, RATE))
    smears = []
    for click in clicks:
        energy = np.cumsum(np.square(high[click - 800 : click + 800]))
        begin, end = np.searchsorted(energy / energy[-1], [0.05, 0.95])
        smears.append((end - begin) / RATE * 1_000)
    return float(np.median(smears))
