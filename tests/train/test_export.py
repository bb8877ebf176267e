"""The served file answers as the network does, and knows what it has to."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchaudio

from langaudio import audio
from langaudio.calibration import Calibration
from langaudio.serve import Model
from langaudio.serve.model import describe
from langaudio.train import export as exporting
from langaudio.train.export import TOLERANCE, MatrixMelSpectrogram, export
from langaudio.train.network import LanguageNetwork, NetworkSettings, clip_log_probabilities
from tests.train import spoken

SPEECH = Path(__file__).parents[3] / "shared" / "speech"
LANGUAGES = ["ar", "de", "en", "es", "fa", "fr", "it", "nl", "sv", "tr"]
LENGTHS_S = (1, 3.01, 9.7, 60, 180)


@pytest.fixture(scope="module")
def network() -> LanguageNetwork:
    """A network of the usual size that has not learned, but whose answers differ from clip to clip."""
    torch.manual_seed(0)
    network = LanguageNetwork(LANGUAGES, NetworkSettings())
    with torch.no_grad():
        network(torch.randn(8, 16_000))  # in training mode: normalisation finds its levels
        for weights in network.parameters():
            weights.mul_(1.5)
    return network.eval()


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration(1.7, "margin", 0.25, 0.05)


@pytest.fixture(scope="module")
def served(
    network: LanguageNetwork, calibration: Calibration, tmp_path_factory: pytest.TempPathFactory
) -> Model:
    path = tmp_path_factory.mktemp("served") / "model.onnx"
    export(network, calibration.temperature, describe(LANGUAGES, calibration), path)
    return Model(path)


def recordings() -> Iterator[np.ndarray]:
    """Yield speech of 1 s to 3 min: real recordings where there are some, and synthetic ones elsewhere."""
    if SPEECH.is_dir():
        with (SPEECH / "manifest.csv").open() as file:
            names = [row["path"] for row in csv.DictReader(file)]
        speech = [audio.decode((SPEECH / name).read_bytes()).samples for name in names[:: len(names) // 30]]
    else:
        speech = [spoken.said(language, 0) for language in ("de", "fr", "ru")]
    whole = np.concatenate(speech)
    for seconds in LENGTHS_S:
        yield np.resize(whole, round(seconds * audio.SAMPLE_RATE))


def test_the_file_equals_the_network_on_recordings_of_a_second_to_three_minutes(
    network: LanguageNetwork, served: Model, calibration: Calibration
) -> None:
    answers = []
    for samples in recordings():
        segments = [one.samples for one in audio.speech_in([samples])] or [samples]
        with torch.inference_mode():
            said = clip_log_probabilities(network, [torch.from_numpy(segment) for segment in segments])
        wanted = torch.log_softmax(said / calibration.temperature, dim=-1).numpy()
        heard = served.hear(segments)
        assert heard is not None
        assert np.abs(heard.answer - wanted).max() < TOLERANCE
        answers.append(heard.answer)
    assert (
        np.ptp(answers, axis=0).max() > 100 * TOLERANCE
    )  # they differ: it is not for nothing that they agree


@pytest.mark.parametrize("samples", [1_600, 16_000, 47_999, 180 * 16_000])
def test_one_window_of_any_length_may_be_asked(network: LanguageNetwork, served: Model, samples: int) -> None:
    waveform = 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(samples))
    with torch.inference_mode():
        wanted = torch.log_softmax(network(waveform) / 1.7, dim=-1)
    (answer,) = served._session.run(None, {"waveforms": waveform.numpy()})
    assert np.abs(answer - wanted.numpy()).max() < TOLERANCE


def test_the_file_knows_its_languages_and_its_calibration(served: Model, calibration: Calibration) -> None:
    assert served.languages == LANGUAGES
    assert served.calibration == calibration


def test_the_file_says_nothing_of_this_machine(
    network: LanguageNetwork, calibration: Calibration, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        export(network, calibration.temperature, describe(LANGUAGES, calibration), tmp_path / name)
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes()
    assert str(Path(exporting.__file__).parent).encode() not in content
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


@pytest.mark.parametrize(
    "kind",
    [
        {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64, "f_min": 60.0, "f_max": 7600.0},
        {"n_fft": 512, "win_length": 320, "hop_length": 200, "n_mels": 40, "f_min": 0.0, "f_max": 8000.0},
        {"n_fft": 1024, "win_length": 1024, "hop_length": 256, "n_mels": 80},
        {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64, "window_fn": torch.hamming_window},
    ],
)
@pytest.mark.parametrize("samples", [8_000, 16_001, 48_123])
def test_a_spectrogram_by_matrices_is_torchaudios(kind: dict[str, object], samples: int) -> None:
    theirs = torchaudio.transforms.MelSpectrogram(16_000, pad_mode="constant", **kind)  # type: ignore[arg-type]
    waveforms = torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    wanted = theirs(waveforms)
    torch.testing.assert_close(
        MatrixMelSpectrogram(theirs)(waveforms), wanted, rtol=1e-4, atol=1e-6 * float(wanted.max())
    )


def test_a_spectrogram_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="can be exported"):
        MatrixMelSpectrogram(torchaudio.transforms.MelSpectrogram(16_000, power=1.0, pad_mode="constant"))


def test_a_network_that_does_not_export_faithfully_is_refused(tmp_path: Path) -> None:
    class Fickle(LanguageNetwork):
        """What it does hangs on the length in a way that a trace does not see."""

        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            said = super().forward(waveform)
            return said.flip(-1) if int(waveform.shape[-1]) % 2 else said

    torch.manual_seed(0)
    with pytest.raises(ArithmeticError, match="from its own answers"):
        export(Fickle(["de", "fr"], spoken.TINY).eval(), 1.0, {}, tmp_path / "model.onnx")
