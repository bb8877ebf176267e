"""Evaluation on the test clips, against the champion, and what is stored of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from langaudio import registry
from langaudio.errors import LangaudioError
from langaudio.evaluate import evaluate, scores
from langaudio.registry import CHAMPION
from langaudio.settings import Settings
from langaudio.store import Store
from tests.train import spoken


@pytest.fixture
def bucket(store: Store, configured: Settings) -> Store:
    """Test clips: two of German, two of French, one of Russian, and one without speech."""
    spoken.prepare_mlflow(configured)
    rows = [row for row in spoken.corpus(["de", "fr", "ru"]) if row["split"] == "test"]
    silent = spoken.clip(np.zeros(32_000, np.float32), "fr", "fr-3", "test")
    spoken.publish(store, [*rows[:-1], silent])
    return store


def test_scores_equal_those_by_hand() -> None:
    # spoken: 3 de, 2 fr, 1 ru, 0 it; heard: de de fr, fr de, fr
    result = scores([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 1], ["de", "fr", "ru", "it"])
    assert result["clips"] == 6
    assert result["accuracy"] == pytest.approx(3 / 6)
    assert result["confusion_matrix"] == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert result["per_language"]["de"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}
    )
    assert result["per_language"]["fr"] == pytest.approx(
        {"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5, "support": 2}
    )
    assert result["per_language"]["ru"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    assert result["macro_f1"] == pytest.approx((2 / 3 + 2 / 5 + 0) / 3)  # nobody spoke Italian


def test_a_network_is_scored_on_every_test_clip_with_speech(bucket: Store) -> None:
    run_id = spoken.run_of(spoken.constant(["de", "fr", "ru"], "fr"))
    result = evaluate(bucket, run_id)
    assert (result["clips"], result["clips_without_speech"]) == (5, 1)
    assert result["confusion_matrix"] == [[0, 2, 0], [0, 2, 0], [0, 1, 0]]
    assert result["accuracy"] == pytest.approx(2 / 5)
    assert result["macro_f1"] == pytest.approx((2 * 2 / (2 + 5)) / 3)
    assert result["comparison"] is None


def test_the_result_is_stored_with_the_run(bucket: Store) -> None:
    run_id = spoken.run_of(spoken.constant(["de", "fr"], "fr"))
    result = evaluate(bucket, run_id)
    stored = registry.read_file(run_id, "evaluation.json")
    assert stored is not None
    assert json.loads(stored) == result
    assert registry.curve(run_id, "test_macro_f1") == [result["macro_f1"]]
    assert registry.curve(run_id, "test_recall_fr") == [1.0]
    for picture in ("confusion_matrix.png", "training_curves.png"):
        assert (registry.read_file(run_id, picture) or b"").startswith(b"\x89PNG")


def test_the_champion_is_asked_about_the_same_clips_of_shared_languages(bucket: Store) -> None:
    champion = spoken.run_of(spoken.constant(["de", "fr"], "de"))
    registry.set_alias(CHAMPION, registry.register(champion))
    result = evaluate(bucket, spoken.run_of(spoken.constant(["fr", "ru"], "ru")))
    assert result["macro_f1"] == pytest.approx((0 + 2 / 4) / 2)  # two French clips, one Russian
    comparison = result["comparison"]
    assert comparison["champion_run_id"] == champion
    assert comparison["champion_languages"] == ["de", "fr"]
    assert comparison["languages"] == ["fr"]
    # With French alone to choose from, both can only say French.
    for which in ("challenger", "champion"):
        assert comparison[which]["clips"] == 2
        assert comparison[which]["macro_f1"] == 1.0


def test_the_comparison_leaves_out_what_only_one_network_knows(bucket: Store) -> None:
    registry.set_alias(CHAMPION, registry.register(spoken.run_of(spoken.constant(["de", "fr"], "de"))))
    comparison = evaluate(bucket, spoken.run_of(spoken.constant(["de", "fr", "ru"], "fr")))["comparison"]
    assert comparison["languages"] == ["de", "fr"]
    assert comparison["challenger"]["confusion_matrix"] == [[0, 2], [0, 2]]
    assert comparison["champion"]["confusion_matrix"] == [[2, 0], [2, 0]]


def test_without_test_clips_there_is_nothing_to_score(store: Store, configured: Settings) -> None:
    spoken.prepare_mlflow(configured)
    run_id = spoken.run_of(spoken.constant(["de", "fr"], "fr"))
    with pytest.raises(LangaudioError, match="no test clips with speech in de, fr: crawl clips of more"):
        evaluate(store, run_id)
