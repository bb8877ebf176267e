"""Backfills of languages that the corpus has: augmented anew from the bucket, read anew from the source."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from langaudio import catalog, registry
from langaudio.augment.shards import read_index
from langaudio.augment.stage import seeded_id
from langaudio.services.airflow_api import AirflowApi
from langaudio.store import default_store, keys
from tests.integration.story import FORM, Instances, ended, instance, log_of, states

BACKFILL = "backfill_languages"
SEED = 1
"""Another seed is another recipe: its copies are others."""

READ, MISREAD = "fr", "what a parser with a defect made of it"
STAGES = ("crawl", "upload", "augment")


@pytest.fixture(scope="module")
def done_anew(first_run: Any) -> dict[str, Any]:
    """All languages augmented anew, then one of them read anew; and what there was before."""
    airflow, store = AirflowApi(), default_store()
    airflow.wait_for_dag(BACKFILL)
    rows = catalog.read(store, READ).to_pylist()
    right = next(row for row in rows if row["source"] == "demo" and row["split"] == "train")
    misread = {"title": MISREAD, "cefr_level": None, "last_seen": right["last_seen"] + timedelta(seconds=1)}
    catalog.write_part(store, READ, "a-parser-with-a-defect", [right | misread])
    form = FORM | {"seed": SEED, "languages": [], "min_change_percent": 1}
    # They run one after the other, in this order.
    runs = [
        airflow.trigger(BACKFILL, form | more)
        for more in ({"work": "augment_again"}, {"work": "read_again", "languages": [READ]})
    ]
    augmented, read = (ended(airflow, BACKFILL, run_id) for run_id in runs)
    return {"augmented": augmented, "read": read, "right": right, "runs": runs}


def test_what_is_augmented_anew_is_not_crawled(airflow: AirflowApi, done_anew: dict[str, Any]) -> None:
    state, instances = done_anew["augmented"]
    told, codes = states(instances), catalog.languages(default_store())
    assert state == "success"
    assert [told[f"language.crawl {code}"] for code in codes] == ["skipped"] * len(codes)
    assert [told[f"language.augment {code}"] for code in codes] == ["success"] * len(codes)
    assert not list(default_store().list(keys.below("staging", "demo", keys.run_id(done_anew["runs"][0]))))
    assert "recordings that are known are not fetched" in log_of(airflow, instances, "preview")


def test_all_languages_have_the_copies_of_the_new_recipe(done_anew: dict[str, Any]) -> None:
    store = default_store()
    for code in catalog.languages(store):
        rows = catalog.read(store, code, ["clip_id", "split"]).to_pylist()
        training = {row["clip_id"] for row in rows if row["split"] == "train"}
        copies = read_index(store, seeded_id("default", SEED), code, ["clip_id", "copy"]).to_pylist()
        wanted = {(clip_id, copy) for clip_id in training for copy in range(FORM["copies"] + 1)}
        assert {(one["clip_id"], one["copy"]) for one in copies} >= wanted != set()


def test_a_network_learns_from_the_new_copies(airflow: AirflowApi, done_anew: dict[str, Any]) -> None:
    trained = airflow.xcom(instance(done_anew["augmented"][1], "train"))
    assert trained["languages"] == catalog.languages(default_store())
    assert registry.parameters(trained["run_id"])["recipe_id"] == seeded_id("default", SEED)


def test_what_is_read_anew_is_put_right_without_fetching_a_recording(
    airflow: AirflowApi, done_anew: dict[str, Any]
) -> None:
    state, instances = done_anew["read"]
    assert state == "success"
    crawled = airflow.xcom(instance(instances, f"language.crawl {READ}"))
    assert (crawled["new"], crawled["audio_bytes"], crawled["walk"]) == (0, 0, "full")
    assert crawled["changed"] == airflow.xcom(instance(instances, f"language.upload {READ}"))["changed"] == 1
    right = done_anew["right"]
    (row,) = catalog.read(default_store(), READ, clip_ids={right["clip_id"]}).to_pylist()
    # It was seen now; everything else is as it was, the speaker and the split as well.
    assert row | {"last_seen": None} == right | {"last_seen": None}


def test_what_is_read_anew_touches_no_other_language(done_anew: dict[str, Any]) -> None:
    _, instances = done_anew["read"]
    told: Instances = [one for one in instances if one["task_id"].startswith("language.")]
    assert states(told) == dict.fromkeys((f"language.{stage} {READ}" for stage in STAGES), "success")
    # As much as was learned from is there: the titles of clips are nothing to learn from.
    assert states(instances)["train"] == "skipped"
