"""How sure an answer is, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest

from langaudio.calibration import SCORES, Calibration, Heard, calibrate, fit_temperature
from langaudio.voting import normalised


def drawn(temperature: float, clips: int = 4000, languages: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return log-probabilities that are right as often as they say at a temperature, and what was spoken."""
    rng = np.random.default_rng(0)
    honest = normalised(2 * rng.standard_normal((clips, languages)))
    spoken = np.array([rng.choice(languages, p=np.exp(row)) for row in honest])
    return normalised(honest * temperature), spoken


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_that_was_there_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.06)


def test_a_few_right_answers_are_no_reason_to_be_certain() -> None:
    said = normalised(np.array([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]]))
    assert fit_temperature(said, np.array([0, 1, 2])) > 0.4


def clip(*windows: list[float]) -> Heard:
    return Heard(normalised(np.log(np.array(windows))), np.ones(len(windows)))


@pytest.mark.parametrize("score", SCORES)
def test_every_score_finds_more_evidence_where_windows_are_surer(score: str) -> None:
    sure, unsure = clip([0.9, 0.05, 0.05], [0.8, 0.1, 0.1]), clip([0.4, 0.3, 0.3], [0.5, 0.25, 0.25])
    calibration = Calibration(score=score)
    assert calibration.evidence(sure) > calibration.evidence(unsure)


@pytest.mark.parametrize("score", ["max_probability", "negative_entropy", "margin", "agreement"])
def test_windows_that_contradict_each_other_are_less_evidence(score: str) -> None:
    agreed, torn = clip([0.9, 0.05, 0.05], [0.9, 0.05, 0.05]), clip([0.9, 0.05, 0.05], [0.05, 0.9, 0.05])
    calibration = Calibration(score=score)
    assert calibration.evidence(agreed) > calibration.evidence(torn)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_no_more_clips_are_rejected_than_is_stated(score: str, share: float) -> None:
    said, spoken = drawn(2.0, clips=300)
    heard = [Heard(row[None], np.ones(1)) for row in said]
    calibration = calibrate(heard, spoken.tolist(), score, share)
    rejected = np.mean([not calibration.accepts(one.cooled(calibration.temperature)) for one in heard])
    assert share - 0.01 <= rejected <= share
    assert calibration.false_rejects == pytest.approx(rejected)


def test_without_a_threshold_everything_is_accepted() -> None:
    assert Calibration().accepts(clip([1 / 3, 1 / 3, 1 / 3]))


def test_cooling_windows_is_cooling_their_answer() -> None:
    heard = clip([0.9, 0.05, 0.05], [0.2, 0.6, 0.2])
    np.testing.assert_allclose(heard.cooled(3.0).answer, normalised(heard.answer / 3.0))
