"""The network of Silero VAD, arranged anew: the same answers as the wheel's own file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from langaudio.audio import decode, silero
from langaudio.audio.speech import MODEL, _Detector


def test_the_file_in_the_package_is_the_one_that_is_made() -> None:
    assert silero.rearranged() == MODEL.read_bytes()


def test_it_answers_as_the_file_of_the_wheel(spoken: bytes) -> None:
    samples = decode(spoken).samples
    package = importlib.util.find_spec("silero_vad")
    assert package is not None
    wheel = onnxruntime.InferenceSession(Path(str(package.origin)).parent / "data" / "silero_vad.onnx")
    state, context, expected = np.zeros((2, 1, 128), np.float32), np.zeros((1, 64), np.float32), []
    for at in range(0, len(samples) - 511, 512):
        window = np.concatenate([context, samples[None, at : at + 512]], axis=1)
        (probability, state) = wheel.run(
            None, {"input": window, "state": state, "sr": np.array(16_000, np.int64)}
        )
        expected.append(float(probability[0, 0]))
        context = window[:, -64:]
    assert max(expected) > 0.9 > 0.1 > min(expected)
    assert _Detector().hear(samples) == pytest.approx(expected, abs=1e-5)
