"""From waveform to log-mel, and the masks and shifts that keep training from learning it by heart.

Log-mel is a module of the network, so that training and serving cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torchaudio
from torch import Tensor, nn

from langaudio.audio import SAMPLE_RATE

_FLOOR = 1e-3  # about 60 dB below the recording's level: what lies lower is the recorder, not the speaker
_SILENCE = 1e-5  # RMS, re full scale, that is not made any louder


@dataclass(frozen=True)
class FeatureSettings:
    """How a waveform becomes log-mel.

    Attributes:
        mels: number of bands.
        window_s: length of the analysis window.
        hop_s: time from one frame to the next.
        min_freq: lower edge of the lowest band, in Hz.
        max_freq: upper edge of the highest band, in Hz.
    """

    mels: int = 40
    window_s: float = 0.025
    hop_s: float = 0.010
    min_freq: float = 60.0
    max_freq: float = 7600.0


class LogMel(nn.Module):
    """Log-mel energies of a waveform brought to one level, less each band's mean over time.

    So gain makes no difference, and the frequency response of a microphone next to none.

    Shape: ``(batch, samples)`` → ``(batch, mels, frames)``. A waveform shorter than one window is
    padded with silence.
    """

    def __init__(self, settings: FeatureSettings) -> None:
        super().__init__()
        self._window = round(settings.window_s * SAMPLE_RATE)
        self._mel = _MelSpectrogram(
            sample_rate=SAMPLE_RATE,
            n_fft=1 << (self._window - 1).bit_length(),
            win_length=self._window,
            hop_length=round(settings.hop_s * SAMPLE_RATE),
            f_min=settings.min_freq,
            f_max=settings.max_freq,
            n_mels=settings.mels,
            pad_mode="constant",
        )

    def forward(self, waveform: Tensor) -> Tensor:
        missing = max(0, self._window - waveform.shape[-1])
        waveform = nn.functional.pad(waveform, (0, missing))
        level = waveform.square().mean(dim=-1, keepdim=True).sqrt()
        # In float32 whatever the precision of the rest: energies span more than bfloat16 tells apart.
        with torch.autocast(waveform.device.type, enabled=False):
            energies = self._mel(waveform / level.clamp(min=_SILENCE))
        log_mel = torch.log(energies + _FLOOR)
        return log_mel - log_mel.mean(dim=-1, keepdim=True)


class _MelSpectrogram(torchaudio.transforms.MelSpectrogram):
    """torchaudio's, but for the root of the power, which it takes and squares again."""

    def forward(self, waveform: Tensor) -> Tensor:
        of = self.spectrogram
        spectrum = torchaudio.functional.spectrogram(
            waveform, of.pad, of.window, of.n_fft, of.hop_length, of.win_length, None, of.normalized,
            of.center, of.pad_mode, of.onesided,
        )  # fmt: skip
        energies: Tensor = self.mel_scale(spectrum.real.square() + spectrum.imag.square())
        return energies


@dataclass(frozen=True)
class SpecAugment:
    """Shift and mask log-mels, each example by draws of its own (Park et al., "SpecAugment", 2019).

    The bands are first stretched towards low or high, as a shorter or longer vocal tract does; then bands
    and frames are set to zero, which is their mean. Of some examples nothing is left above one band and below
    another, as on a telephone or in a recording at a low rate.

    Attributes:
        max_stretch: largest change of a band's position, as a share of it.
        masks: number of masks in each direction.
        max_bands: widest mask over bands.
        max_frames: longest mask over frames.
        narrowed: share of the examples that lose their lowest and highest bands.
        max_low: most of the bands that are lost at the low end, as a share of all.
        max_high: the same, at the high end.
    """

    max_stretch: float = 0.08
    masks: int = 2
    max_bands: int = 10
    max_frames: int = 30
    narrowed: float = 0.4
    max_low: float = 0.15
    max_high: float = 0.4

    def draw(self, examples: int, rng: np.random.Generator) -> np.ndarray:
        """Return numbers from 0 to 1 that decide what is done to examples, shape ``(examples, draws)``."""
        return rng.random((examples, 4 + 4 * self.masks), np.float32)

    def __call__(self, log_mel: Tensor, draws: Tensor) -> Tensor:
        """Shape: ``(batch, mels, frames)``, ``(batch, draws)`` → ``(batch, mels, frames)``."""
        _, mels, frames = log_mel.shape
        log_mel = self._stretched(log_mel, draws[:, :1])
        log_mel = log_mel * self._band(mels, draws[:, 1:4]).unsqueeze(2)
        for mask in draws[:, 4:].reshape(len(draws), self.masks, 4).unbind(dim=1):
            log_mel = log_mel * _kept(mels, self.max_bands, mask[:, :2]).unsqueeze(2)
            log_mel = log_mel * _kept(frames, self.max_frames, mask[:, 2:]).unsqueeze(1)
        return log_mel

    def _band(self, mels: int, draws: Tensor) -> Tensor:
        """Shape: draws ``(batch, 3)`` → ``(batch, mels)``."""
        applied, low, high = draws.split(1, dim=1)
        at = torch.arange(mels, device=draws.device)
        inside = (at >= mels * self.max_low * low) & (at < mels * (1 - self.max_high * high))
        return (inside | (applied >= self.narrowed)).float()

    def _stretched(self, log_mel: Tensor, draws: Tensor) -> Tensor:
        batch, mels, frames = log_mel.shape
        factors = 1 + self.max_stretch * (2 * draws - 1)
        position = (torch.arange(mels, device=log_mel.device) * factors).clamp(max=mels - 1)
        below = position.floor().clamp(max=mels - 2).long()
        share = (position - below).unsqueeze(2)
        rows = below.unsqueeze(2).expand(batch, mels, frames)
        return log_mel.gather(1, rows) * (1 - share) + log_mel.gather(1, rows + 1) * share


def _kept(length: int, max_width: int, draws: Tensor) -> Tensor:
    """Return a row of ones an example, with a gap of zeros that is at most ``max_width`` wide.

    Shape: draws ``(batch, 2)`` → ``(batch, length)``.
    """
    width = draws[:, :1] * min(max_width, length)
    begin = draws[:, 1:] * (length - width)
    at = torch.arange(length, device=draws.device)
    return ((at < begin) | (at >= begin + width)).float()
