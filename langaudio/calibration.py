"""How sure an answer is, and when it is better to give none: temperature, evidence, threshold.

A network is surer of itself than it should be. One number, fitted on the dev speakers, puts that right: the
temperature that its log-probabilities are divided by (Guo et al., "On Calibration of Modern Neural
Networks", 2017). Then evidence is measured, by a score that is chosen by name, and an answer with less of it
than a threshold is ``unknown``: the speech is too little or too noisy, or in no language of the network's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from langaudio.voting import normalised, vote

FALSE_REJECTS = 0.05
"""The share of the dev clips, in languages that the network knows, that may be called unknown."""

SCORE = "max_probability"
"""The score that is used unless another is named; ``docs/decisions/unknown.md`` has what each measured."""

_HALVES = 0.7  # standard deviation of a prior on log temperature: without much evidence it stays near 1
_TEMPERATURES = np.exp(np.linspace(np.log(0.2), np.log(5), 400))

Score = Callable[[np.ndarray, np.ndarray], float]
"""From log-probabilities ``(windows, languages)`` and the weights ``(windows,)``: more is more evidence."""


@dataclass(frozen=True)
class Heard:
    """What a network says of a clip's windows.

    Attributes:
        log_probabilities: shape ``(windows, languages)``.
        weights: seconds of speech that each stands for, shape ``(windows,)``.
    """

    log_probabilities: np.ndarray
    weights: np.ndarray

    @property
    def answer(self) -> np.ndarray:
        """Log-probabilities of the clip, shape ``(languages,)``."""
        return vote(self.log_probabilities, self.weights)

    def cooled(self, temperature: float) -> Heard:
        """Return what is said at a temperature: above 1 everything is less sure."""
        return Heard(normalised(self.log_probabilities / temperature), self.weights)


@dataclass(frozen=True)
class Calibration:
    """What is stored with a network.

    Attributes:
        temperature: what its log-probabilities are divided by.
        score: the name of the score of evidence.
        threshold: an answer with less evidence is unknown; None: none is.
        false_rejects: the share of dev clips that are, by this threshold.
    """

    temperature: float = 1.0
    score: str = SCORE
    threshold: float | None = None
    false_rejects: float = 0.0

    def evidence(self, heard: Heard) -> float:
        """Return the evidence in what was heard at the calibrated temperature."""
        return SCORES[self.score](heard.log_probabilities, heard.weights)

    def accepts(self, heard: Heard) -> bool:
        """Tell whether there is enough of it for an answer."""
        return self.threshold is None or self.evidence(heard) >= self.threshold


def calibrate(
    heard: Sequence[Heard],
    spoken: Sequence[int],
    score: str = SCORE,
    false_rejects: float = FALSE_REJECTS,
) -> Calibration:
    """Fit temperature and threshold.

    Args:
        heard: what the network says of dev clips, at temperature 1.
        spoken: which language each is in, as a column of the log-probabilities.
        score: the name of a score of evidence.
        false_rejects: the share of these clips that may be called unknown.
    """
    temperature = fit_temperature(np.stack([clip.answer for clip in heard]), np.asarray(spoken))
    evidence = [
        SCORES[score](cool.log_probabilities, cool.weights)
        for cool in (clip.cooled(temperature) for clip in heard)
    ]
    threshold = float(np.quantile(evidence, false_rejects, method="lower"))
    return Calibration(temperature, score, threshold, float(np.mean(np.array(evidence) < threshold)))


def fit_temperature(log_probabilities: np.ndarray, spoken: np.ndarray) -> float:
    """Return the temperature at which the log-likelihood of what was spoken is highest.

    Args:
        log_probabilities: of clips, shape ``(clips, languages)``.
        spoken: the column of each clip's language, shape ``(clips,)``.
    """
    rows = np.arange(len(spoken))
    losses = [
        -normalised(log_probabilities / temperature)[rows, spoken].sum()
        + (np.log(temperature) / _HALVES) ** 2 / 2
        for temperature in _TEMPERATURES
    ]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _max_probability(log_probabilities: np.ndarray, weights: np.ndarray) -> float:
    """The probability of the likeliest language (Hendrycks and Gimpel, 2017)."""
    return float(np.exp(vote(log_probabilities, weights).max()))


def _negative_entropy(log_probabilities: np.ndarray, weights: np.ndarray) -> float:
    answer = vote(log_probabilities, weights)
    return float((np.exp(answer) * answer).sum())


def _margin(log_probabilities: np.ndarray, weights: np.ndarray) -> float:
    """How much likelier the likeliest language is than the next, in nats."""
    second, first = np.sort(vote(log_probabilities, weights))[-2:]
    return float(first - second)


def _window_max_probability(log_probabilities: np.ndarray, weights: np.ndarray) -> float:
    """The mean over windows of each window's own likeliest language's probability."""
    return float(weights @ np.exp(log_probabilities.max(axis=1)) / weights.sum())


def _agreement(log_probabilities: np.ndarray, weights: np.ndarray) -> float:
    """The highest geometric mean over windows of a language's probability: windows sure, and of the same."""
    return float((weights @ log_probabilities / weights.sum()).max())


SCORES: Mapping[str, Score] = {
    "max_probability": _max_probability,
    "negative_entropy": _negative_entropy,
    "margin": _margin,
    "window_max_probability": _window_max_probability,
    "agreement": _agreement,
}
