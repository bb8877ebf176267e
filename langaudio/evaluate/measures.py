"""Scores of answers, with the intervals that speakers leave them.

Every score is a function of counts, and counts of clips are sums over speakers. So an interval is cheap: the
sums over a speaker are taken once, and a bootstrap sample of speakers is a weighted sum of them. Speakers
are drawn, not clips, because two clips of one voice are no two witnesses (Bisani and Ney, "Bootstrap
Estimates for Confidence Intervals in ASR Performance Evaluation", ICASSP 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from langaudio.voting import normalised

BINS = 10
"""Of confidence, in the calibration error."""

_SAMPLES = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A score and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Scores:
    """What some answers are worth.

    Attributes:
        clips: how many were answered.
        speakers: how many speakers they have; a clip without a known speaker counts as one of its own.
        accuracy: share of right answers.
        macro_f1: mean over the languages that were spoken.
        c_avg: average detection cost of the NIST Language Recognition Evaluation; see ``c_avg``.
        calibration_error: expected calibration error of the likeliest language, over ten bins.
    """

    clips: int
    speakers: int
    accuracy: Estimate
    macro_f1: Estimate
    c_avg: Estimate
    calibration_error: Estimate


@dataclass(frozen=True)
class LanguageScores:
    """What the answers are worth for one language; ``support`` is the number of its clips."""

    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: int


@dataclass(frozen=True)
class Bin:
    """Clips of about the same confidence: how many, how sure on average, how many of them right (a share)."""

    clips: int
    confidence: float
    accuracy: float


class Answers:
    """The answers of one network to some clips.

    Args:
        log_probabilities: shape ``(clips, languages)``, normalised.
        spoken: the column of each clip's language, shape ``(clips,)``.
        speakers: who speaks in each clip; None if it is not known.
        seed: of the bootstrap. Answers of two networks to the same clips are drawn alike for one seed.
    """

    def __init__(
        self,
        log_probabilities: np.ndarray,
        spoken: Sequence[int],
        speakers: Sequence[str | None],
        seed: int = 0,
    ) -> None:
        self._said = log_probabilities
        self._spoken = np.asarray(spoken, int)
        self._seed = seed
        named = [f"clip {i}" if who is None else f"speaker {who}" for i, who in enumerate(speakers)]
        self._names, self._speaker = np.unique(named, return_inverse=True)

    def scores(self) -> Scores:
        return Scores(
            clips=len(self._spoken),
            speakers=len(self._names),
            accuracy=self._estimate(accuracy, self._confusion()),
            macro_f1=self._estimate(macro_f1, self._confusion()),
            c_avg=self._estimate(c_avg, self._detection()),
            calibration_error=self._estimate(calibration_error, self._reliability()),
        )

    def per_language(self) -> list[LanguageScores]:
        """Return the scores of each column."""
        drawn = self._drawn(self._confusion())
        columns = [_language_estimates(one(drawn), drawn) for one in (precision, recall, f1)]
        support = self.confusion_matrix().sum(axis=1).tolist()
        return [
            LanguageScores(precision, recall, f1, clips)
            for precision, recall, f1, clips in zip(*columns, support, strict=True)
        ]

    def confusion_matrix(self) -> np.ndarray:
        """Return counts: rows are what was spoken, columns what was heard."""
        matrix: np.ndarray = self._confusion().sum(axis=0).astype(int)
        return matrix

    def reliability(self) -> list[Bin]:
        """Return the bins of confidence that have clips."""
        return [
            Bin(int(clips), float(confidence / clips), float(right / clips))
            for clips, confidence, right in self._reliability().sum(axis=0)
            if clips
        ]

    def macro_f1_gain(self, other: Answers) -> Estimate:
        """Return by how much this macro-F1 is higher than another's on the same clips (paired bootstrap)."""
        mine, theirs = (one._drawn(one._confusion()) for one in (self, other))
        return _estimates((macro_f1(mine) - macro_f1(theirs))[..., None])[0]

    def recall_gains(self, other: Answers) -> list[Estimate]:
        """Return the same of each column's recall."""
        mine, theirs = (one._drawn(one._confusion()) for one in (self, other))
        return _language_estimates(recall(mine) - recall(theirs), mine)

    def _estimate(self, score: Callable[[np.ndarray], np.ndarray], sums: np.ndarray) -> Estimate:
        return _estimates(score(self._drawn(sums))[..., None])[0]

    def _drawn(self, sums: np.ndarray) -> np.ndarray:
        """Return the sums over all speakers, and then over each sample of them.

        Shape: ``(speakers, …)`` → ``(1 + samples, …)``.
        """
        drawn = np.tensordot(self._times(), sums, axes=1)
        return np.concatenate([sums.sum(axis=0, keepdims=True), drawn])

    def _times(self) -> np.ndarray:
        """Return how often each speaker is in each sample, shape ``(samples, speakers)``."""
        rng = np.random.default_rng(self._seed)
        speakers = len(self._names)
        return rng.multinomial(speakers, [1 / speakers] * speakers, size=_SAMPLES).astype(float)

    def _confusion(self) -> np.ndarray:
        """Shape: ``(speakers, spoken, heard)``."""
        counts = np.zeros((len(self._names), *self._said.shape[1:], *self._said.shape[1:]))
        np.add.at(counts, (self._speaker, self._spoken, self._said.argmax(axis=1)), 1)
        return counts

    def _detection(self) -> np.ndarray:
        """Return clips that are taken to be in a language, and in the last column all clips.

        Shape: ``(speakers, spoken, languages + 1)``.
        """
        languages = self._said.shape[1]
        odds = np.stack([_log_odds(self._said, column) for column in range(languages)], axis=1)
        counts = np.zeros((len(self._names), languages, languages + 1))
        rows = np.concatenate([odds > 0, np.ones((len(odds), 1), bool)], axis=1)
        np.add.at(counts, (self._speaker, self._spoken), rows)
        return counts

    def _reliability(self) -> np.ndarray:
        """Return clips, confidence and right answers, summed. Shape: ``(speakers, bins, 3)``."""
        confidence = np.exp(self._said.max(axis=1))
        right = self._said.argmax(axis=1) == self._spoken
        sums = np.zeros((len(self._names), BINS, 3))
        at = np.minimum((confidence * BINS).astype(int), BINS - 1)
        np.add.at(sums, (self._speaker, at), np.stack([np.ones(len(right)), confidence, right], axis=1))
        return sums


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Shape: ``(…, spoken, heard)`` → ``(…)``."""
    return _share(confusion.diagonal(axis1=-2, axis2=-1).sum(-1), confusion.sum((-2, -1)))


def recall(confusion: np.ndarray) -> np.ndarray:
    """Shape: ``(…, spoken, heard)`` → ``(…, languages)``."""
    return _share(confusion.diagonal(axis1=-2, axis2=-1), confusion.sum(-1))


def precision(confusion: np.ndarray) -> np.ndarray:
    """Shape: ``(…, spoken, heard)`` → ``(…, languages)``."""
    return _share(confusion.diagonal(axis1=-2, axis2=-1), confusion.sum(-2))


def f1(confusion: np.ndarray) -> np.ndarray:
    """Shape: ``(…, spoken, heard)`` → ``(…, languages)``."""
    return _share(2 * confusion.diagonal(axis1=-2, axis2=-1), confusion.sum(-1) + confusion.sum(-2))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Return the mean of F1 over the languages that were spoken: another has no recall to speak of.

    Shape: ``(…, spoken, heard)`` → ``(…)``.

    >>> macro_f1(np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0]])).round(3)
    np.float64(0.733)
    """
    spoken = confusion.sum(-1) > 0
    return _share((f1(confusion) * spoken).sum(-1), spoken.sum(-1))


def c_avg(detection: np.ndarray) -> np.ndarray:
    """Return the average detection cost C_avg of the NIST LRE, closed set, as in its plans of 2007 and 2009.

    Each language in turn is the target, each other one that was spoken a non-target, and a clip is taken for
    the target if its log-likelihood ratio is above zero: C_miss = C_FA = 1, P_target = 0.5. The ratio is that
    of the target's probability to the mean of the others', as in the plans since 2015. 0 is perfect, and 0.5
    is what one gets by always saying yes, or always no.

    Args:
        detection: clips taken for each language, and in the last column all; ``(…, spoken, languages + 1)``.

    Shape: → ``(…)``.
    """
    taken, clips = detection[..., :-1], detection[..., -1:]
    rate = _share(taken, np.broadcast_to(clips, taken.shape))
    spoken = clips[..., 0] > 0
    hit = rate.diagonal(axis1=-2, axis2=-1)
    false_alarms = _share((rate * spoken[..., None]).sum(-2) - hit, spoken.sum(-1, keepdims=True) - 1)
    cost = 0.5 * (1 - hit) + 0.5 * false_alarms
    return _share((cost * spoken).sum(-1), spoken.sum(-1))


def calibration_error(reliability: np.ndarray) -> np.ndarray:
    """Return the expected calibration error (Guo et al., 2017): how far confidence is from accuracy.

    Args:
        reliability: clips, confidence and right answers, summed in each bin; ``(…, bins, 3)``.

    Shape: → ``(…)``.
    """
    clips, confidence, right = np.moveaxis(reliability, -1, 0)
    return _share(np.abs(confidence - right).sum(-1), clips.sum(-1))


def _log_odds(log_probabilities: np.ndarray, column: int) -> np.ndarray:
    """Return the log-likelihood ratio of a language against all others together, priors being equal."""
    others = np.delete(log_probabilities, column, axis=1)
    if not others.shape[1]:
        return np.full(len(log_probabilities), np.inf)
    top = others.max(axis=1, keepdims=True)
    mean = np.log(np.exp(others - top).mean(axis=1)) + top[:, 0]
    odds: np.ndarray = log_probabilities[:, column] - mean
    return odds


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; nothing of nothing is nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=np.asarray(whole) > 0)


def _language_estimates(values: np.ndarray, confusion: np.ndarray) -> list[Estimate]:
    """Return estimates of scores of languages, from the samples that have the language at all.

    Args:
        values: shape ``(1 + samples, languages)``.
        confusion: that they come from, shape ``(1 + samples, spoken, heard)``.
    """
    spoken = confusion.sum(-1) > 0
    return _estimates(np.where(spoken | ~spoken[0], values, np.nan))


def _estimates(values: np.ndarray) -> list[Estimate]:
    """Shape: ``(1 + samples, scores)``; the first row is the scores themselves. NaN is no sample."""
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.nanquantile(values[1:], [tail, 1 - tail], axis=0)
    return [Estimate(*map(float, one)) for one in zip(values[0], low, high, strict=True)]


def among(log_probabilities: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Return what is said when only some languages are to be chosen from."""
    return normalised(log_probabilities[:, list(columns)])
