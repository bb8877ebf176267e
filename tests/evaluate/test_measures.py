"""Scores equal those by hand, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from langaudio.evaluate.measures import Answers, Estimate, among, c_avg, macro_f1
from langaudio.voting import normalised


def answered(heard: list[int], languages: int, sure: float = 0.9) -> np.ndarray:
    """Return log-probabilities of clips that were heard as these, with so much confidence."""
    said = np.full((len(heard), languages), (1 - sure) / (languages - 1))
    said[np.arange(len(heard)), heard] = sure
    return np.log(said)


# spoken: 3 of 0, 2 of 1, 1 of 2, none of 3
SPOKEN, HEARD = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 1]


@pytest.fixture
def by_hand() -> Answers:
    return Answers(answered(HEARD, 4), SPOKEN, ["a", "a", "b", "c", "d", None])


def test_counts_shares_and_means_equal_those_by_hand(by_hand: Answers) -> None:
    scores = by_hand.scores()
    assert (scores.clips, scores.speakers) == (6, 5)
    assert scores.accuracy.value == pytest.approx(3 / 6)
    assert scores.macro_f1.value == pytest.approx((2 / 3 + 2 / 5 + 0) / 3)  # nobody spoke the fourth
    assert by_hand.confusion_matrix().tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    first, second, third, fourth = by_hand.per_language()
    assert [one.value for one in (first.precision, first.recall, first.f1)] == pytest.approx([2 / 3] * 3)
    assert [one.value for one in (second.precision, second.recall)] == pytest.approx([1 / 3, 1 / 2])
    assert [one.support for one in (first, second, third, fourth)] == [3, 2, 1, 0]
    assert third.f1 == Estimate(0, 0, 0)


def test_calibration_error_is_how_far_confidence_is_from_being_right(by_hand: Answers) -> None:
    assert by_hand.scores().calibration_error.value == pytest.approx(0.9 - 3 / 6)
    (bin_,) = by_hand.reliability()
    assert (bin_.clips, bin_.confidence, bin_.accuracy) == pytest.approx((6, 0.9, 0.5))


def test_c_avg_equals_that_by_hand() -> None:
    # With 90 % on the answer, its odds are above one and all others' below.
    answers = Answers(answered([0, 0, 1, 1, 0], 3), [0, 0, 0, 1, 1], list("abcde"))
    miss_0, miss_1 = 1 / 3, 1 / 2
    alarm_0, alarm_1 = 1 / 2, 1 / 3  # of clips in 1 taken for 0, of clips in 0 taken for 1
    expected = np.mean([0.5 * miss_0 + 0.5 * alarm_0, 0.5 * miss_1 + 0.5 * alarm_1])
    assert answers.scores().c_avg.value == pytest.approx(expected)


def test_c_avg_is_none_for_the_perfect_and_a_half_for_who_always_says_yes() -> None:
    spoken = [0, 1, 2] * 4
    speakers = [f"s{i}" for i in range(12)]
    assert Answers(answered(spoken, 3), spoken, speakers).scores().c_avg.value == 0
    yes = np.concatenate([np.ones((3, 3)), np.ones((3, 1))], axis=1)
    assert c_avg(yes) == pytest.approx(0.5)


def test_f1_agrees_with_torchmetrics() -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_f1_score

    rng = np.random.default_rng(0)
    spoken, heard = rng.integers(0, 6, 200), rng.integers(0, 6, 200)
    confusion = np.zeros((6, 6))
    np.add.at(confusion, (spoken, heard), 1)
    theirs = multiclass_f1_score(torch.from_numpy(heard), torch.from_numpy(spoken), 6, average="macro")
    assert macro_f1(confusion) == pytest.approx(float(theirs), abs=1e-6)


def cohort(speakers: int, each: int, right: float, seed: int = 0) -> Answers:
    """Return answers to speakers who are all understood or all misunderstood."""
    rng = np.random.default_rng(seed)
    spoken = np.repeat(np.arange(speakers) % 2, each)
    understood = np.repeat(rng.random(speakers) < right, each)
    heard = np.where(understood, spoken, 1 - spoken)
    names = [f"s{i}" for i in np.repeat(np.arange(speakers), each)]
    return Answers(answered(heard.tolist(), 2), spoken.tolist(), names)


def test_more_clips_of_the_same_speakers_make_no_narrower_interval() -> None:
    few, many = (cohort(40, each, 0.8).scores().accuracy for each in (1, 25))
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.15)
    more_speakers = cohort(1000, 1, 0.8).scores().accuracy
    assert more_speakers.high - more_speakers.low < 0.3 * (few.high - few.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = [
        one.low <= 0.8 <= one.high
        for one in (cohort(60, 2, 0.8, seed).scores().accuracy for seed in range(200))
    ]
    assert 0.89 <= np.mean(covered) <= 0.99


def test_a_language_of_few_speakers_is_judged_by_the_samples_that_have_it() -> None:
    spoken, speakers = [0, 0, 1, 1, 2, 2], list("abcdef")
    right, wrong = (Answers(answered(heard, 3), spoken, speakers) for heard in (spoken, [0, 0, 1, 1, 0, 0]))
    for scores in right.per_language():
        assert scores.recall == scores.precision == scores.f1 == Estimate(1, 1, 1)
    assert right.recall_gains(wrong) == [Estimate(0, 0, 0), Estimate(0, 0, 0), Estimate(1, 1, 1)]


def test_a_gain_is_measured_on_the_same_speakers() -> None:
    rng = np.random.default_rng(0)
    spoken = np.arange(300) % 3
    speakers = [f"s{i // 3}" for i in range(300)]
    hard = rng.random(300) < 0.4
    both = [np.where(hard, (spoken + 1) % 3, spoken) for _ in range(2)]
    both[0][np.flatnonzero(hard)[:20]] = spoken[np.flatnonzero(hard)[:20]]  # twenty more are right
    better, worse = (Answers(answered(heard.tolist(), 3), spoken.tolist(), speakers) for heard in both)
    gain = better.macro_f1_gain(worse)
    assert gain.value == pytest.approx(better.scores().macro_f1.value - worse.scores().macro_f1.value)
    assert 0 < gain.low < gain.value < gain.high
    # Each by itself is much less certain.
    assert better.scores().macro_f1.low < worse.scores().macro_f1.high
    assert better.macro_f1_gain(better) == Estimate(0, 0, 0)
    gains = better.recall_gains(worse)
    assert len(gains) == 3
    assert all(one.value >= 0 for one in gains)


def test_the_same_answers_have_the_same_intervals() -> None:
    assert cohort(30, 2, 0.7).scores() == cohort(30, 2, 0.7).scores()


def test_choosing_among_some_leaves_their_odds() -> None:
    said = normalised(np.random.default_rng(0).standard_normal((5, 4)))
    chosen = among(said, [2, 0])
    np.testing.assert_allclose(np.exp(chosen).sum(axis=1), 1)
    np.testing.assert_allclose(chosen[:, 0] - chosen[:, 1], said[:, 2] - said[:, 0])
