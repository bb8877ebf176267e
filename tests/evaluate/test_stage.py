"""Evaluation on the test clips, against the champion, and what is stored of it."""

from __future__ import annotations

import numpy as np
import pytest

from langaudio import registry
from langaudio.calibration import Calibration
from langaudio.errors import LangaudioError
from langaudio.evaluate import EVALUATION, evaluate, from_json
from langaudio.registry import CHAMPION
from langaudio.settings import Settings
from langaudio.store import Store
from tests.train import spoken


@pytest.fixture
def bucket(store: Store, configured: Settings) -> Store:
    """Test clips: two of German, two of French, one of Russian, and one without speech."""
    spoken.prepare_mlflow(configured)
    rows = [row for row in spoken.corpus(["de", "fr", "ru"]) if row["split"] == "test"]
    for row, sex in zip(rows, ["f", "f", "m", None, None], strict=False):
        row["speaker_sex"] = sex
    rows[0]["source"] = "elsewhere"
    silent = spoken.clip(np.zeros(32_000, np.float32), "fr", "fr-3", "test")
    spoken.publish(store, [*rows[:-1], silent])
    return store


def test_a_model_is_scored_on_every_test_clip_with_speech(bucket: Store) -> None:
    run_id = spoken.run_of(spoken.constant(["de", "fr", "ru"], "fr"))
    result = evaluate(bucket, run_id)
    assert (result.scores.clips, result.scores.speakers, result.clips_without_speech) == (5, 3, 1)
    assert result.confusion_matrix == [[0, 2, 0], [0, 2, 0], [0, 1, 0]]
    assert result.scores.accuracy.value == pytest.approx(2 / 5)
    assert result.scores.macro_f1.value == pytest.approx((2 * 2 / (2 + 5)) / 3)
    # It always says 79 %, and is right in 40 %.
    assert result.scores.calibration_error.value == pytest.approx(np.e**2 / (np.e**2 + 2) - 0.4, abs=1e-3)
    assert result.comparison is None
    assert (result.rejected, result.accuracy_of_accepted) == (0, pytest.approx(2 / 5))
    assert result.latency_ms > 0


def test_scores_are_told_by_duration_source_and_sex(bucket: Store) -> None:
    result = evaluate(bucket, spoken.run_of(spoken.constant(["de", "fr", "ru"], "fr")))
    assert list(result.by_duration) == ["1 s", "3 s", "5 s", "10 s", "all"]
    assert {scores.clips for scores in result.by_duration.values()} == {5}
    assert result.by_duration["all"] == result.scores
    assert {name: one.clips for name, one in result.by_source.items()} == {"demo": 4, "elsewhere": 1}
    assert {name: one.clips for name, one in result.by_sex.items()} == {"f": 2, "m": 1}
    assert result.by_sex["m"].accuracy.value == 1  # the first French clip


def test_what_would_be_called_unknown_is_counted(bucket: Store) -> None:
    doubtful = spoken.run_of(spoken.constant(["de", "fr", "ru"], "fr"), Calibration(threshold=0.9))
    result = evaluate(bucket, doubtful)
    assert (result.rejected, result.accuracy_of_accepted) == (1, 0)
    assert result.scores.accuracy.value == pytest.approx(2 / 5)  # what it would have said


def test_the_result_is_stored_with_the_run(bucket: Store) -> None:
    run_id = spoken.run_of(spoken.constant(["de", "fr"], "fr"))
    result = evaluate(bucket, run_id)
    stored = registry.read_file(run_id, EVALUATION)
    assert stored is not None
    assert from_json(stored) == result
    assert registry.curve(run_id, "test_macro_f1") == [result.scores.macro_f1.value]
    assert registry.curve(run_id, "test_c_avg") == [result.scores.c_avg.value]
    assert registry.curve(run_id, "test_recall_fr") == [1.0]
    for picture in ("confusion_matrix.png", "reliability.png", "training_curves.png"):
        assert (registry.read_file(run_id, picture) or b"").startswith(b"\x89PNG")


def test_the_champion_is_asked_about_the_same_clips_of_shared_languages(bucket: Store) -> None:
    champion = spoken.run_of(spoken.constant(["de", "fr"], "de"))
    registry.set_alias(CHAMPION, registry.register(champion))
    result = evaluate(bucket, spoken.run_of(spoken.constant(["fr", "ru"], "ru")))
    assert result.scores.macro_f1.value == pytest.approx((0 + 2 / 4) / 2)  # two French clips, one Russian
    comparison = result.comparison
    assert comparison is not None
    assert comparison.champion_run_id == champion
    assert comparison.champion_languages == ["de", "fr"]
    assert comparison.languages == ["fr"]
    # With French alone to choose from, both can only say French.
    for scores in (comparison.challenger, comparison.champion):
        assert scores is not None
        assert scores.clips == 2
        assert scores.macro_f1.value == 1.0


def test_the_comparison_leaves_out_what_only_one_model_knows(bucket: Store) -> None:
    registry.set_alias(CHAMPION, registry.register(spoken.run_of(spoken.constant(["de", "fr"], "de"))))
    comparison = evaluate(bucket, spoken.run_of(spoken.constant(["de", "fr", "ru"], "fr"))).comparison
    assert comparison is not None
    assert comparison.languages == ["de", "fr"]
    assert comparison.challenger is not None
    assert comparison.challenger.clips == 4
    assert comparison.macro_f1_gain is not None
    assert comparison.macro_f1_gain.value == pytest.approx(0)
    # Two speakers prove nothing: one of each would be as good a sample as two of one.
    assert (comparison.macro_f1_gain.low, comparison.macro_f1_gain.high) == (-1, 1)
    assert comparison.recall_gains is not None
    assert {code: gain.value for code, gain in comparison.recall_gains.items()} == {"de": -1, "fr": 1}


def test_models_that_share_no_spoken_language_are_not_compared(bucket: Store) -> None:
    registry.set_alias(CHAMPION, registry.register(spoken.run_of(spoken.constant(["it", "nl"], "it"))))
    comparison = evaluate(bucket, spoken.run_of(spoken.constant(["de", "fr", "it"], "fr"))).comparison
    assert comparison is not None
    assert comparison.languages == ["it"]
    assert comparison.challenger is None


def test_without_test_clips_there_is_nothing_to_score(store: Store, configured: Settings) -> None:
    spoken.prepare_mlflow(configured)
    run_id = spoken.run_of(spoken.constant(["de", "fr"], "fr"))
    with pytest.raises(LangaudioError, match="no test clips with speech in de, fr: crawl clips of more"):
        evaluate(store, run_id)
