"""Every transform as its peers have it, with the same fixed parameters: functions of samples and their rate.

Where a peer takes tensors, it is given one that shares the samples' memory; what it gives back is not copied.
Peers that lack a transform, or whose transform is another one, are left out: torchaudio masks spectrograms,
pedalboard's high-pass is of first order (6 dB per octave), and torch-audiomentations shifts pitch by a few
ratios of its own choice only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import audiomentations
import librosa
import numpy as np
import numpy.typing as npt
import pedalboard
import torch
import torch_audiomentations
import torchaudio.functional
from speechbrain.augment import time_domain

from langaudio import augment

Audio = npt.NDArray[np.float32]
Transform = Callable[[Audio, int], Audio]

warnings.filterwarnings("ignore", module="torch_audiomentations")


@dataclass(frozen=True)
class Parameters:
    """What every transform is given, by everybody."""

    semitones: float = 3.0
    cutoff_freq: float = 200.0
    rolloff: int = 12
    snr_db: float = 15.0
    gain_db: float = -6.0
    band_part: float = 0.1
    fade_duration: float = 0.005


def peers(given: Parameters) -> dict[str, dict[str, Transform]]:
    """Return for each of the six transforms who has it, ourselves first."""
    same_gain = 10 ** (given.gain_db / 20)
    cutoff, semitones, snr, part = given.cutoff_freq, given.semitones, given.snr_db, given.band_part
    return {
        "PitchScale": {
            "langaudio": _ours(augment.PitchScale(semitones, semitones, p=1)),
            "audiomentations": _plain(audiomentations.PitchShift(semitones, semitones, p=1)),
            "librosa": lambda x, sr: librosa.effects.pitch_shift(x, sr=sr, n_steps=semitones),
            "pedalboard": _plain(pedalboard.Pedalboard([pedalboard.PitchShift(semitones)])),
            "torchaudio": _tensors(lambda x, sr: torchaudio.functional.pitch_shift(x, sr, semitones)),
        },
        "HighPassFilter": {
            "langaudio": _ours(augment.HighPassFilter(cutoff, cutoff, given.rolloff, p=1)),
            "audiomentations": _plain(
                audiomentations.HighPassFilter(cutoff, cutoff, given.rolloff, given.rolloff, p=1)
            ),
            "torchaudio": _tensors(lambda x, sr: torchaudio.functional.highpass_biquad(x, sr, cutoff)),
            "torch-audiomentations": _batched(
                torch_audiomentations.HighPassFilter(cutoff, cutoff + 1e-3, p=1, output_type="tensor")
            ),
        },
        "WhiteNoise": {
            "langaudio": _ours(augment.WhiteNoise(snr, snr, p=1)),
            "audiomentations": _plain(audiomentations.AddGaussianSNR(snr, snr, p=1)),
            "torchaudio": _tensors(
                lambda x, _: torchaudio.functional.add_noise(x, torch.randn_like(x), torch.tensor([snr]))
            ),
            "SpeechBrain": _with_lengths(time_domain.AddNoise(snr_low=snr, snr_high=snr)),
            "torch-audiomentations": _batched(
                torch_audiomentations.AddColoredNoise(
                    snr, snr + 1e-3, min_f_decay=0, max_f_decay=1e-3, p=1, output_type="tensor"
                )
            ),
        },
        "TimeMask": {
            "langaudio": _ours(augment.TimeMask(part, part, given.fade_duration, p=1)),
            "audiomentations": _plain(
                audiomentations.TimeMask(part, part, fade_duration=given.fade_duration, p=1)
            ),
            "SpeechBrain": _dropped(part),
        },
        "RandomGain": {
            "langaudio": _ours(augment.RandomGain(given.gain_db, given.gain_db, p=1)),
            "audiomentations": _plain(audiomentations.Gain(given.gain_db, given.gain_db, p=1)),
            "torchaudio": _tensors(lambda x, _: torchaudio.functional.gain(x, given.gain_db)),
            "pedalboard": _plain(pedalboard.Pedalboard([pedalboard.Gain(given.gain_db)])),
            "torch-audiomentations": _batched(
                torch_audiomentations.Gain(given.gain_db, given.gain_db + 1e-3, p=1, output_type="tensor")
            ),
            "NumPy": lambda x, _: x * np.float32(same_gain),
        },
        "PolarityInversion": {
            "langaudio": _ours(augment.PolarityInversion(p=1)),
            "audiomentations": _plain(audiomentations.PolarityInversion(p=1)),
            "torch-audiomentations": _batched(
                torch_audiomentations.PolarityInversion(p=1, output_type="tensor")
            ),
            "NumPy": lambda x, _: -x,
        },
    }


ORDER = ("PitchScale", "TimeMask", "HighPassFilter", "WhiteNoise", "RandomGain", "PolarityInversion")
"""Of the six in a chain, as in the default recipe."""


def chains(given: Parameters) -> dict[str, Transform]:
    """Return all six as one: our ``Compose``, audiomentations', and the fastest of torch's in turn."""
    single = peers(given)
    ours = augment.Compose(
        [
            augment.PitchScale(given.semitones, given.semitones, p=1),
            augment.TimeMask(given.band_part, given.band_part, given.fade_duration, p=1),
            augment.HighPassFilter(given.cutoff_freq, given.cutoff_freq, given.rolloff, p=1),
            augment.WhiteNoise(given.snr_db, given.snr_db, p=1),
            augment.RandomGain(given.gain_db, given.gain_db, p=1),
            augment.PolarityInversion(p=1),
        ]
    )
    theirs = audiomentations.Compose(
        [
            audiomentations.PitchShift(given.semitones, given.semitones, p=1),
            audiomentations.TimeMask(
                given.band_part, given.band_part, fade_duration=given.fade_duration, p=1
            ),
            audiomentations.HighPassFilter(
                given.cutoff_freq, given.cutoff_freq, given.rolloff, given.rolloff, p=1
            ),
            audiomentations.AddGaussianSNR(given.snr_db, given.snr_db, p=1),
            audiomentations.Gain(given.gain_db, given.gain_db, p=1),
            audiomentations.PolarityInversion(p=1),
        ]
    )

    def torches(samples: Audio, sample_rate: int) -> Audio:
        for name in ORDER:
            offered = single[name]
            chosen = offered.get("torchaudio") or offered.get("SpeechBrain") or offered["NumPy"]
            samples = chosen(samples, sample_rate)
        return samples

    return {
        "langaudio": _ours(ours),
        "audiomentations": _plain(theirs),
        "torchaudio and SpeechBrain": torches,
    }


def _ours(transform: augment.Transform | augment.Compose) -> Transform:
    rng = np.random.default_rng(0)
    return lambda samples, sample_rate: transform(samples, sample_rate, rng)


def _plain(transform: Callable[[Audio, int], Audio]) -> Transform:
    return lambda samples, sample_rate: transform(samples, sample_rate)


def _tensors(transform: Callable[[torch.Tensor, int], torch.Tensor]) -> Transform:
    @torch.inference_mode()
    def apply(samples: Audio, sample_rate: int) -> Audio:
        changed: Audio = transform(torch.from_numpy(samples)[None], sample_rate)[0].numpy()
        return changed

    return apply


def _batched(transform: torch.nn.Module) -> Transform:
    """Take a transform of ``(batch, channels, samples)``."""

    @torch.inference_mode()
    def apply(samples: Audio, sample_rate: int) -> Audio:
        changed: Audio = transform(torch.from_numpy(samples)[None, None], sample_rate)[0, 0].numpy()
        return changed

    return apply


def _with_lengths(transform: torch.nn.Module) -> Transform:
    """Take a transform of a batch and of the share of each row that counts."""
    return _tensors(lambda x, _: transform(x, torch.ones(1)))


def _dropped(part: float) -> Transform:
    """SpeechBrain counts in samples, so it is made anew for each length."""

    def drop(x: torch.Tensor, _: int) -> torch.Tensor:
        length = round(part * x.shape[-1])
        chunk = time_domain.DropChunk(length, length, drop_count_low=1, drop_count_high=1)
        dropped: torch.Tensor = chunk(x, torch.ones(1))
        return dropped

    return _tensors(drop)
