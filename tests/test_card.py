"""The model card says what the model is made of and what it is worth."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from langaudio import registry
from langaudio.calibration import Calibration
from langaudio.card import model_card
from langaudio.evaluate import evaluate
from langaudio.settings import Settings
from langaudio.store import Store
from tests.train import spoken


@pytest.fixture
def rows(store: Store, configured: Settings) -> list[dict[str, Any]]:
    spoken.prepare_mlflow(configured)
    rows = spoken.corpus(["de", "fr"])
    for number, row in enumerate(rows):
        row["licence"] = "CC0-1.0" if number % 2 else "CC-BY-4.0"
    rows[0]["permission"] = "Letter of 2026-10-01"
    spoken.publish(store, rows)
    return rows


def card_of(store: Store, learned: list[str]) -> str:
    run_id = spoken.run_of(
        spoken.constant(["de", "fr"], "fr"),
        Calibration(1.5, "max_probability", 0.4, 0.05),
        recipe_id="0123456789ab",
        corpus_fingerprint="f" * 32,
        git_revision="abcdef",
        seed=3,
    )
    registry.log_file(run_id, registry.CLIPS, json.dumps(learned).encode())
    return model_card(store, registry.register(run_id), evaluate(store, run_id), "There was no champion.")


def test_it_counts_what_was_learned_from(store: Store, rows: list[dict[str, Any]]) -> None:
    learned = [row for row in rows if row["split"] != "test"]
    card = card_of(store, [*(row["clip_id"] for row in learned), "forgotten since"])
    assert "| German (de) | 6 | 3 | 0.00 |" in card
    assert "CC-BY-4.0: 6 clips" in card
    assert "CC0-1.0: 6 clips" in card
    assert "demo: 12 clips" in card
    assert "Letter of 2026-10-01: 1 clips" in card
    assert "1 clips that it has learned from are in the corpus no more" in card


def test_its_front_matter_is_yaml_that_the_hub_knows(store: Store, rows: list[dict[str, Any]]) -> None:
    _, front, _ = card_of(store, []).split("---\n", 2)
    read = yaml.safe_load(front)
    assert read["language"] == ["de", "fr"]
    assert read["pipeline_tag"] == "audio-classification"
    (result,) = read["model-index"][0]["results"]
    metrics = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert metrics["accuracy"] == pytest.approx(0.5)
    assert metrics["f1"] == pytest.approx(1 / 3, abs=1e-4)


def test_it_tells_scores_with_intervals_limits_use_and_making(
    store: Store, rows: list[dict[str, Any]]
) -> None:
    card = card_of(store, [row["clip_id"] for row in rows if row["split"] != "test"])
    assert "| everything | 4 | 0.500 (0.000 to 1.000) |" in card
    assert "| first 3 s | 4 |" in card
    # Of the two speakers drawn one is French, or both, where French is scored.
    assert "| French (fr) | 2 | 0.500 (0.500 to 1.000) | 1.000 (1.000 to 1.000) |" in card
    assert "misses more than half of the clips in German (de)" in card
    assert "fewer than 5 speakers of German (de), French (fr)" in card
    assert "below 0.400, which holds for 5.0% of the dev clips and 0.0% of the test clips" in card
    for heading in ("Intended use", "Data", "Scores", "Limits", "How it was made"):
        assert f"\n## {heading}\n" in card
    for made in ("`0123456789ab`", f"`{'f' * 32}`", "`abcdef`", "| seed | `3` |"):
        assert made in card
