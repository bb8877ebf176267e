"""Naming the language of a file."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from langaudio import registry
from langaudio.audio import SAMPLE_RATE, NotAudio
from langaudio.errors import LangaudioError
from langaudio.identify import Champion, identify, load_champion
from langaudio.settings import Settings
from tests.train import spoken


@pytest.fixture
def champion(configured: Settings) -> Champion:
    spoken.prepare_mlflow(configured)
    run_id = spoken.run_of(spoken.constant(["de", "fr", "ru"], "fr"))
    registry.set_alias(registry.CHAMPION, registry.register(run_id))
    return load_champion()


def encoded(samples: np.ndarray, sample_rate: int = SAMPLE_RATE, **kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, **kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("sample_rate", "kind"),
    [
        (16_000, {"format": "WAV"}),
        (44_100, {"format": "MP3"}),
        (8_000, {"format": "FLAC"}),
        (48_000, {"format": "OGG", "subtype": "OPUS"}),
        (22_050, {"format": "OGG", "subtype": "VORBIS"}),
    ],
)
def test_any_format_at_any_rate_is_heard(
    champion: Champion, tmp_path: Path, sample_rate: int, kind: dict[str, str]
) -> None:
    import soxr

    samples = soxr.resample(spoken.said("fr", 0), SAMPLE_RATE, sample_rate)
    stereo = np.stack([samples, samples], axis=1)
    path = tmp_path / "recording"
    path.write_bytes(encoded(stereo, sample_rate, **kind))
    found = identify(path, champion)
    assert found.language == "fr"
    assert found.speech_s == pytest.approx(len(spoken.said("fr", 0)) / SAMPLE_RATE, rel=0.3)


def test_probabilities_are_sorted_and_sum_to_one(champion: Champion) -> None:
    found = identify(encoded(spoken.said("de", 1), format="FLAC"), champion)
    assert next(iter(found.probabilities)) == "fr"
    assert set(found.probabilities) == {"de", "fr", "ru"}
    shares = list(found.probabilities.values())
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert shares[0] == pytest.approx(np.e**2 / (np.e**2 + 2), abs=1e-4)
    assert found.version == 1
    assert str(found).startswith("fr 78.7%, ")


@pytest.mark.parametrize("sound", ["silence", "noise", "tone"])
def test_where_nobody_speaks_there_is_no_speech(champion: Champion, sound: str) -> None:
    seconds = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    samples = {
        "silence": np.zeros_like(seconds),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(seconds)),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * seconds),
    }[sound]
    found = identify(encoded(samples, format="WAV"), champion)
    assert found.language is None
    assert found.probabilities == {}
    assert str(found) == "no speech"


def test_the_champion_is_loaded_if_none_is_given(champion: Champion) -> None:
    recording = encoded(spoken.said("de", 1), format="FLAC")
    assert identify(recording) == identify(recording, champion)


def test_without_a_champion_it_says_what_to_run(configured: Settings) -> None:
    spoken.prepare_mlflow(configured)
    with pytest.raises(LangaudioError, match=r"no champion yet: trigger the DAG `language_audio`"):
        identify(encoded(spoken.said("de", 1), format="FLAC"))


def test_what_is_no_audio_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp3"
    path.write_text("no audio at all")
    with pytest.raises(NotAudio, match=r"notes\.mp3 is no audio that can be read .*: give MP3, FLAC, Ogg"):
        identify(path)


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(LangaudioError, match=r"missing\.wav cannot be read: No such file"):
        identify(tmp_path / "missing.wav")


@pytest.mark.parametrize("module", ["identify", "promote", "evaluate", "registry"])
def test_importing_a_stage_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, langaudio.{module}; print(*{{'torch', 'lightning', 'mlflow'}} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
