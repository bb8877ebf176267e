"""The beginnings of clips, and how long an answer takes."""

from __future__ import annotations

import numpy as np
import pytest

from langaudio.audio import SAMPLE_RATE
from langaudio.calibration import Calibration
from langaudio.evaluate.clips import TestClip, answers, first_seconds, hear, latency_ms
from langaudio.serve import Model, load_model
from langaudio.train.artifact import save_model
from tests.train import spoken


def silence(*seconds: float) -> list[np.ndarray]:
    return [np.zeros(round(one * SAMPLE_RATE), np.float32) for one in seconds]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model")
    save_model(spoken.constant(["de", "fr", "ru"], "fr"), Calibration(threshold=0.9), folder)
    return load_model(folder / "model.onnx")


@pytest.mark.parametrize(
    ("segments", "wanted", "lengths"),
    [
        ((4.0, 5.0), 1.0, [1.0]),
        ((2.0, 5.0), 3.0, [2.0, 1.0]),
        ((2.0, 5.0), 10.0, [2.0, 5.0]),
        ((2.95, 5.0), 3.0, [2.95]),  # a twentieth of a second says nothing
    ],
)
def test_the_first_seconds_are_cut_from_the_beginning(
    segments: tuple[float, ...], wanted: float, lengths: list[float]
) -> None:
    found = [len(one) / SAMPLE_RATE for one in first_seconds(silence(*segments), wanted)]
    assert found == pytest.approx(lengths)


def test_a_clip_is_heard_whole_and_by_its_beginnings(model: Model) -> None:
    said, accepted = hear({"m": model}, silence(2.0, 4.0))
    assert list(said["m"]) == ["1 s", "3 s", "5 s", "10 s", "all"]
    assert all(one.argmax() == 1 for one in said["m"].values())
    assert accepted == {"m": False}  # 79 % are less than 90


def test_answers_may_be_restricted(model: Model) -> None:
    said, accepted = hear({"m": model}, silence(2.0))
    clips = [TestClip("de", "a", "demo", None, said, accepted)]
    found = answers(clips, "m", model.languages, ["ru", "de"])
    assert found.confusion_matrix().tolist() == [[0, 0], [1, 0]]  # a tie goes to the first


def test_an_answer_takes_some_time_and_not_forever(model: Model) -> None:
    assert 0.1 < latency_ms(model, [spoken.said("fr", 0)]) < 2000
