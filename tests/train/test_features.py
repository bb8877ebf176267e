"""Log-mel and SpecAugment, held to what they promise of sound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio
from torch import Tensor

from langaudio.audio import SAMPLE_RATE
from langaudio.train.features import FeatureSettings, LogMel, SpecAugment
from tests.train import spoken


@pytest.fixture(scope="module")
def speech() -> Tensor:
    return torch.from_numpy(spoken.said("fr", 0)).unsqueeze(0)


@pytest.fixture
def log_mel() -> LogMel:
    return LogMel(FeatureSettings())


def test_a_second_is_a_hundred_frames(log_mel: LogMel) -> None:
    assert log_mel(torch.zeros(2, SAMPLE_RATE)).shape == (2, FeatureSettings().mels, 101)


def test_gain_makes_no_difference(log_mel: LogMel, speech: Tensor) -> None:
    torch.testing.assert_close(log_mel(speech / 40), log_mel(speech), atol=1e-3, rtol=1e-3)


def test_the_frequency_response_of_a_microphone_makes_little_difference(
    log_mel: LogMel, speech: Tensor
) -> None:
    room = speech + 0.003 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    dull = torchaudio.functional.lowpass_biquad(room, SAMPLE_RATE, cutoff_freq=3000)
    # 6 kHz come out 12 dB quieter, which is 2.8 in a logarithm of power.
    changed = (log_mel(room) - log_mel(dull))[:, -10:].abs()
    assert changed.median() < 0.3


def test_every_band_has_a_mean_of_zero(log_mel: LogMel, speech: Tensor) -> None:
    mean = log_mel(speech).mean(dim=-1)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)


def test_energies_are_told_apart_though_the_rest_is_in_bfloat16(log_mel: LogMel, speech: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = log_mel(speech)
    torch.testing.assert_close(found, log_mel(speech), atol=0, rtol=0)


def test_a_tone_is_in_its_own_band_while_it_sounds(log_mel: LogMel) -> None:
    seconds = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    low, high = (torch.sin(2 * torch.pi * frequency * seconds) for frequency in (300, 4000))
    features = log_mel(torch.cat([low, high]).unsqueeze(0))[0]
    first, second = features[:, 10:90].mean(dim=1), features[:, 110:190].mean(dim=1)
    bands = len(features)
    assert first.argmax() < bands / 4 < bands / 2 < second.argmax()
    assert first.max() > 1 > -1 > first.min()


@pytest.mark.parametrize("samples", [0, 1, 399, 401])
def test_very_short_waveforms_have_frames_too(log_mel: LogMel, samples: int) -> None:
    features = log_mel(torch.zeros(1, samples))
    assert features.shape[-1] >= 1
    assert torch.isfinite(features).all()


def test_nothing_is_changed_where_nothing_is_asked_for(log_mel: LogMel, speech: Tensor) -> None:
    features = log_mel(speech)
    torch.testing.assert_close(
        augmented(SpecAugment(max_stretch=0.0, masks=0, narrowed=0.0), features), features
    )


def test_masks_are_gaps_no_wider_than_allowed() -> None:
    masks = SpecAugment(max_stretch=0.0, masks=1, max_bands=10, max_frames=30, narrowed=0.0)
    masked = augmented(masks, torch.ones(200, 64, 300))
    bands = (masked.sum(dim=2) == 0).sum(dim=1)
    frames = (masked.sum(dim=1) == 0).sum(dim=1)
    assert 0 < bands.max() <= 11
    assert 0 < frames.max() <= 31
    assert len(bands.unique()) > 3  # each example has a draw of its own


def test_a_stretch_moves_bands_by_no_more_than_its_share() -> None:
    ramp = torch.arange(64.0).reshape(1, 64, 1).expand(500, 64, 5)
    stretched = augmented(SpecAugment(max_stretch=0.1, masks=0, narrowed=0.0), ramp)
    moved = (stretched - ramp)[:, :, 0]
    assert moved.abs().max() <= 0.1 * 63
    assert moved[:, 40].max() > 2 > -2 > moved[:, 40].min()
    assert (stretched.diff(dim=1) >= 0).all()


def test_some_lose_their_lowest_and_highest_bands_and_no_others() -> None:
    narrow = SpecAugment(max_stretch=0.0, masks=0, narrowed=0.4, max_low=0.15, max_high=0.4)
    kept = augmented(narrow, torch.ones(500, 64, 3))[:, :, 0]
    assert 150 < (kept.sum(dim=1) < 64).sum() < 250
    assert kept[:, 10:38].min() == 1  # 15 % of 64 bands from below, 40 % from above
    assert (kept.sum(dim=1) < 45).any()
    assert (kept.diff(dim=1).abs().sum(dim=1) <= 2).all()


def test_a_mask_wider_than_the_recording_is_cut_to_it() -> None:
    assert augmented(SpecAugment(max_frames=1000), torch.ones(4, 64, 3)).shape == (4, 64, 3)


def augmented(spec_augment: SpecAugment, log_mel: Tensor) -> Tensor:
    draws = spec_augment.draw(len(log_mel), np.random.default_rng(0))
    result: Tensor = spec_augment(log_mel, torch.from_numpy(draws))
    return result


def test_energies_are_those_of_torchaudio(log_mel: LogMel, speech: Tensor) -> None:
    wanted = torchaudio.transforms.MelSpectrogram.forward(log_mel._mel, speech)
    torch.testing.assert_close(log_mel._mel(speech), wanted, rtol=1e-5, atol=1e-6 * float(wanted.max()))
