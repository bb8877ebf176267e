from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from langaudio.demo import sentences
from langaudio.demo.voices import SAMPLE_RATE, VOICES, Voice, speak

WINDOW = 1024


def pitch_hz(samples: np.ndarray) -> float:
    """Median F0 of the voiced windows, by autocorrelation."""
    found = []
    for window in loud_windows(samples):
        spectrum = np.fft.rfft((window - window.mean()) * np.hanning(WINDOW), 2 * WINDOW)
        similarity = np.fft.irfft(np.abs(spectrum) ** 2)[:WINDOW]
        similarity /= similarity[0] * (1 - np.arange(WINDOW) / WINDOW).clip(0.2)
        shortest, longest = SAMPLE_RATE // 400, SAMPLE_RATE // 60
        lag = shortest + int(similarity[shortest:longest].argmax())
        if similarity[lag] > 0.5:
            found.append(SAMPLE_RATE / lag)
    return float(np.median(found))


def timbre_db(samples: np.ndarray) -> np.ndarray:
    """Long-term spectrum in 24 bands, equally wide in mel, re their mean."""
    power = np.mean(
        [np.abs(np.fft.rfft(window * np.hanning(WINDOW))) ** 2 for window in loud_windows(samples)], 0
    )
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE) / 700)
    edges = np.linspace(0, 2840, 25)
    bands = 10 * np.log10(
        [power[(mel >= low) & (mel < high)].sum() for low, high in itertools.pairwise(edges)]
    )
    return bands - bands.mean()


def loud_windows(samples: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[:: WINDOW // 2]
    energy = (windows**2).sum(axis=1)
    return windows[energy > 0.05 * energy.max()]


@pytest.fixture(scope="module", params=["fr", "zh"])
def clips(request: pytest.FixtureRequest) -> dict[Voice, list[np.ndarray]]:
    """Six clips of each voice; the text of a clip is the same for all voices."""
    topics = sentences.script(request.param).topics[:6]
    lines = [line for topic in topics for line in topic.sentences[:2]]
    spoken = {voice: speak(lines, request.param, voice) for voice in VOICES}
    return {
        voice: [np.concatenate(said[begin : begin + 2]) for begin in range(0, len(said), 2)]
        for voice, said in spoken.items()
    }


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: voice.variant)
def test_every_variant_is_one_that_espeak_really_has(voice: Voice) -> None:
    assert (Path(espeakng_loader.get_data_path()) / "voices" / "!v" / voice.variant).is_file()


def test_an_unknown_variant_is_refused_instead_of_replaced() -> None:
    with pytest.raises(ValueError, match="no variant 'f99'"):
        speak(["Bonjour."], "fr", replace(VOICES[0], variant="f99"))


@pytest.mark.parametrize("voice", [VOICES[1], VOICES[2]], ids=["clear", "breathy"])
def test_the_same_call_gives_the_same_samples_at_any_time(voice: Voice) -> None:
    lines = sentences.script("fr").topics[0].sentences[:2]
    second = int(time.time())
    first = speak(lines, "fr", voice)
    assert len(first) == len(lines)
    later = False
    while not later:
        later = int(time.time()) > second
        again = speak(lines, "fr", voice)
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_sixteen_speakers_can_be_told_apart_by_pitch_and_timbre(clips: dict[Voice, list[np.ndarray]]) -> None:
    # Quarter tones and thirds of a decibel: about equally wide scales.
    described = {
        voice: np.array([[24 * np.log2(pitch_hz(clip) / 150), *timbre_db(clip) / 3] for clip in own])
        for voice, own in clips.items()
    }
    right = 0
    for voice, own in described.items():
        for index, clip in enumerate(own):
            # A clip's own voice is described by the other clips: the text cannot help.
            centres = {
                **{other: rows.mean(0) for other, rows in described.items()},
                voice: np.delete(own, index, 0).mean(0),
            }
            nearest = min(centres, key=lambda other: float(np.linalg.norm(centres[other] - clip)))
            right += nearest == voice
    assert right / sum(map(len, clips.values())) > 0.9


def test_every_female_voice_is_higher_than_every_male_voice(clips: dict[Voice, list[np.ndarray]]) -> None:
    pitch = {voice: np.median([pitch_hz(clip) for clip in own]) for voice, own in clips.items()}
    lowest = min(hz for voice, hz in pitch.items() if voice.sex == "female")
    highest = max(hz for voice, hz in pitch.items() if voice.sex == "male")
    assert lowest > 1.05 * highest
