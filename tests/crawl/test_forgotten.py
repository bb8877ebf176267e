"""What is forgotten is not asked for again."""

from __future__ import annotations

import json

import pytest

from langaudio.crawl.policy import Refused
from langaudio.crawl.stage import crawl
from langaudio.forget import forget
from langaudio.settings import Settings
from langaudio.store import Store
from tests.crawl.library import Library
from tests.train.spoken import prepare_mlflow


@pytest.fixture(autouse=True)
def _mlflow(configured: Settings) -> None:
    prepare_mlflow(configured)


def test_a_crawl_does_not_ask_for_what_is_forgotten(store: Store, library: Library) -> None:
    crawl(store, "fr", source="demo", run="one")
    speaker = json.loads(store.get("staging/demo/one/fr/items.jsonl").splitlines()[0])["speaker_id"]
    forget(store, "speaker", speaker)
    assert speaker.encode() not in store.get("staging/demo/one/fr/items.jsonl")
    library.asked.clear()
    stats = crawl(store, "fr", source="demo", run="two")
    assert stats["refused"]["forgotten"] == 12 - len(library.audio_asked())
    assert stats["refused"]["forgotten"] > 0


def test_a_source_that_is_forgotten_is_not_crawled(store: Store, library: Library) -> None:
    crawl(store, "fr", source="demo", run="one")
    forget(store, "source", "demo")
    library.asked.clear()
    with pytest.raises(Refused, match="is forgotten in this bucket"):
        crawl(store, "fr", source="demo", run="two")
    assert not library.asked
