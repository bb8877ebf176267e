"""Naming the language of a file."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import langaudio
from langaudio import registry
from langaudio.audio import SAMPLE_RATE, NotAudio
from langaudio.calibration import Calibration
from langaudio.errors import LangaudioError
from langaudio.serve import Model, identify, load_champion, load_model
from langaudio.serve import champion as champions
from langaudio.settings import Settings
from langaudio.train.artifact import save_model
from tests.train import spoken


@pytest.fixture
def champion(configured: Settings) -> Model:
    champions._champion.cache_clear()
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
    champion: Model, tmp_path: Path, sample_rate: int, kind: dict[str, str]
) -> None:
    import soxr

    samples = soxr.resample(spoken.said("fr", 0), SAMPLE_RATE, sample_rate)
    stereo = np.stack([samples, samples], axis=1)
    path = tmp_path / "recording"
    path.write_bytes(encoded(stereo, sample_rate, **kind))
    found = identify(path, champion)
    assert found.language == "fr"
    assert found.speech_s == pytest.approx(len(spoken.said("fr", 0)) / SAMPLE_RATE, rel=0.3)


def test_probabilities_are_sorted_and_sum_to_one(champion: Model) -> None:
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
def test_where_nobody_speaks_there_is_no_speech(champion: Model, sound: str) -> None:
    seconds = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    samples = {
        "silence": np.zeros_like(seconds),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(seconds)),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * seconds),
    }[sound]
    found = identify(encoded(samples, format="WAV"), champion)
    assert (found.outcome, found.language, found.probabilities) == ("no speech", None, {})
    assert str(found) == "no speech"


def test_the_champion_is_loaded_if_none_is_given(champion: Model) -> None:
    recording = encoded(spoken.said("de", 1), format="FLAC")
    assert identify(recording) == identify(recording, champion)


def test_without_a_champion_it_says_what_to_run(configured: Settings) -> None:
    champions._champion.cache_clear()
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


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that wants 90 % for an answer, and is never that sure: French has 79 %."""
    folder = tmp_path_factory.mktemp("doubtful")
    save_model(spoken.constant(["de", "fr", "ru"], "fr"), Calibration(threshold=0.9), folder)
    return load_model(folder / "model.onnx")


def test_where_the_evidence_is_weak_the_language_is_unknown(doubtful: Model) -> None:
    found = identify(encoded(spoken.said("de", 1), format="FLAC"), doubtful)
    assert (found.outcome, found.language) == ("unknown", None)
    assert next(iter(found.probabilities)) == "fr"  # what it would have said
    assert found.speech_s > 1
    assert str(found).startswith("unknown (fr 78.7%")


def test_only_the_languages_named_are_chosen_from(doubtful: Model) -> None:
    found = identify(encoded(spoken.said("de", 1), format="FLAC"), doubtful, among=["ru", "de"])
    assert found.outcome == "language"  # whoever names them says that it is one of them
    assert found.probabilities == pytest.approx({"ru": 0.5, "de": 0.5}, abs=1e-4)


def test_a_language_that_the_model_does_not_know_is_told(doubtful: Model) -> None:
    with pytest.raises(LangaudioError, match=r"does not know 'it'.*; it knows de, fr, ru"):
        identify(encoded(spoken.said("de", 1), format="FLAC"), doubtful, among=["it"])


def test_bytes_and_paths_give_the_same_answer(doubtful: Model, tmp_path: Path) -> None:
    data = encoded(spoken.said("de", 1), format="FLAC")
    (tmp_path / "a.flac").write_bytes(data)
    answers = [identify(given, doubtful) for given in (data, tmp_path / "a.flac", str(tmp_path / "a.flac"))]
    assert answers[0] == answers[1] == answers[2]


def test_the_package_hands_out_the_function() -> None:
    code = "import langaudio, langaudio.serve; from langaudio import identify, timeline; "
    code += "print(identify is langaudio.serve.identify is langaudio.identify, callable(timeline))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
    with pytest.raises(AttributeError, match="has no attribute 'identity'"):
        _ = langaudio.identity


def test_with_a_file_four_packages_are_enough(doubtful: Model, tmp_path: Path) -> None:
    """Whatever else is imported is of the standard library, or of these four."""
    save_model(spoken.constant(["de", "fr"], "fr"), Calibration(), tmp_path)
    (tmp_path / "a.mp3").write_bytes(encoded(spoken.said("de", 1), format="MP3"))
    code = """
import sys
class Guard:
    allowed = {"langaudio", "numpy", "onnxruntime", "soxr"}
    allowed |= {"soundfile", "_soundfile", "_soundfile_data", "_cffi_backend", "cffi", "typing_extensions"}
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in self.allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Guard())
import langaudio
model = langaudio.load_model("model.onnx")
print(langaudio.identify("a.mp3", model).language, len(langaudio.timeline("a.mp3", model).spans))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.split() == ["fr", "1"], done.stderr


@pytest.mark.parametrize("module", ["serve", "promote", "evaluate", "registry", "cli"])
def test_importing_a_stage_imports_nothing_heavy(module: str) -> None:
    heavy = {"torch", "lightning", "mlflow", "onnx"}
    code = f"import sys, langaudio.{module}; print(*{heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
