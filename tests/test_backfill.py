"""What a backfill takes, and what it refuses before anything is fetched."""

from __future__ import annotations

import pytest

from langaudio import catalog, stages
from langaudio.augment.stage import seeded_id
from langaudio.backfill import AUGMENT_AGAIN, BRING_IN, READ_AGAIN
from langaudio.errors import LangaudioError
from langaudio.store import Store, keys
from tests.test_catalog import row

FORM = {"recipe": "default", "seed": 0}


@pytest.fixture
def bucket(store: Store) -> Store:
    """French and Dutch, both augmented by the default recipe."""
    for code in ("fr", "nl"):
        catalog.write_part(store, code, "run", [row("aa", language=code)])
        store.put(keys.augmented(seeded_id("default", 0), code, "run", "index.parquet"), b"an index")
    return store


@pytest.mark.usefixtures("bucket")
def test_languages_that_are_lacking_are_brought_in() -> None:
    assert stages.plan_backfill(BRING_IN, ["de", "fr"], "demo", **FORM) == ["de"]


@pytest.mark.usefixtures("bucket")
def test_no_language_means_all_that_the_corpus_has() -> None:
    assert stages.plan_backfill(AUGMENT_AGAIN, [], "audio_lingua", **FORM) == ["fr", "nl"]
    assert stages.plan_backfill(AUGMENT_AGAIN, ["nl", "nl"], "audio_lingua", **FORM) == ["nl"]


@pytest.mark.usefixtures("bucket")
def test_what_is_read_again_has_to_be_at_the_source() -> None:
    assert stages.plan_backfill(READ_AGAIN, [], "demo", **FORM) == ["fr", "nl"]
    with pytest.raises(LangaudioError, match="audio_lingua has no Dutch"):
        stages.plan_backfill(READ_AGAIN, [], "audio_lingua", **FORM)


@pytest.mark.usefixtures("bucket")
def test_what_the_corpus_lacks_cannot_be_done_anew() -> None:
    with pytest.raises(LangaudioError, match=r"The corpus has no de, .* it has fr, nl\. Choose 'bring_in'"):
        stages.plan_backfill(AUGMENT_AGAIN, ["de", "fr"], "demo", **FORM)


@pytest.mark.usefixtures("store")
def test_in_an_empty_bucket_nothing_is_done_anew() -> None:
    with pytest.raises(LangaudioError, match="it has none"):
        stages.plan_backfill(AUGMENT_AGAIN, [], "demo", **FORM)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("work", "chosen"), [(AUGMENT_AGAIN, ["fr"]), (BRING_IN, ["de"])])
def test_a_recipe_that_others_lack_is_refused(work: str, chosen: list[str]) -> None:
    with pytest.raises(LangaudioError, match=r"nl have no copies .*'augment_again' with no language chosen"):
        stages.plan_backfill(work, chosen, "demo", recipe="default", seed=7)
    assert stages.plan_backfill(AUGMENT_AGAIN, [], "demo", recipe="default", seed=7) == ["fr", "nl"]
