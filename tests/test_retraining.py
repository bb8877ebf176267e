"""Whether enough has changed since the last training."""

from __future__ import annotations

import json

import pytest

from langaudio import catalog, registry
from langaudio.retraining import change
from langaudio.settings import Settings
from langaudio.store import Store
from tests.test_catalog import row
from tests.train import spoken


@pytest.fixture
def bucket(store: Store, configured: Settings) -> Store:
    """Ten French clips, of which one is for testing, and one German."""
    spoken.prepare_mlflow(configured)
    _publish(store, [f"f{number}" for number in range(9)])
    catalog.write_part(store, "fr", "tested", [row("t0", split="test")])
    catalog.write_part(store, "de", "one", [row("d0", language="de")])
    return store


def _publish(store: Store, clip_ids: list[str]) -> None:
    catalog.write_part(store, "fr", f"run{clip_ids[0]}", [row(clip_id) for clip_id in clip_ids])


def _trained(clips: list[str], languages: str = "de fr", recipe_id: str = "recipe") -> registry.Version:
    run_id = registry.start_run("a test", {"languages": languages, "recipe_id": recipe_id})
    registry.log_file(run_id, registry.CLIPS, json.dumps(clips).encode())
    return registry.register(run_id)


ALL = ["d0", *(f"f{number}" for number in range(9))]


def test_without_a_champion_everything_is_new(bucket: Store) -> None:
    assert change(bucket, ["de", "fr"], "recipe").percent == 100


def test_the_same_clips_are_no_change(bucket: Store) -> None:
    registry.set_alias(registry.CHAMPION, _trained(ALL))
    assert change(bucket, ["de", "fr"], "recipe").percent == 0


def test_clips_that_are_new_or_gone_are_counted_test_clips_are_not(bucket: Store) -> None:
    registry.set_alias(registry.CHAMPION, _trained([*ALL[:-1], "lost"]))
    found = change(bucket, ["de", "fr"], "recipe")
    assert found.percent == 20
    assert found.detail == (
        "Of the 10 clips that version 1 was trained on, 1 are gone; 1 are new. That is 20.00 %."
    )


@pytest.mark.parametrize(
    ("languages", "recipe_id", "told"), [(["fr"], "recipe", "other languages"), (["de", "fr"], "b", "recipe")]
)
def test_other_languages_or_copies_are_another_corpus(
    bucket: Store, languages: list[str], recipe_id: str, told: str
) -> None:
    registry.set_alias(registry.CHAMPION, _trained(ALL))
    found = change(bucket, languages, recipe_id)
    assert found.percent == 100
    assert told in found.detail


def test_a_corpus_whose_network_was_not_better_is_not_trained_on_again(bucket: Store) -> None:
    registry.set_alias(registry.CHAMPION, _trained(ALL[:5]))
    assert change(bucket, ["de", "fr"], "recipe").percent == 100
    _trained(ALL)
    assert change(bucket, ["de", "fr"], "recipe").percent == 0
