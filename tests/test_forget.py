"""What is forgotten is nowhere, and stays away."""

from __future__ import annotations

import json

import pytest

from langaudio import catalog, registry
from langaudio.augment.stage import augment, read_index, seeded_id
from langaudio.doctor import diagnose
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.forget import MARK, forget
from langaudio.store import Store, keys
from langaudio.upload import upload
from tests.test_upload import reasons, stage

WITH_US, ELSE = "ab" * 10, "cd" * 10


def clip_of(store: Store, title: str) -> str:
    rows = catalog.read(store, "fr", ["clip_id", "title"]).to_pylist()
    return next(str(row["clip_id"]) for row in rows if row["title"] == title)


@pytest.fixture
def corpus(store: Store, spoken: bytes, also_spoken: bytes) -> Store:
    """Two speakers with a clip each in the shards, one of them with a refused clip, too."""
    stage(store, "one", {"theirs": spoken, "refused": b"no audio"}, speaker_id=WITH_US)
    stage(store, "two", {"other": also_spoken}, speaker_id=None)
    for run in ("one", "two"):
        upload(store, "fr", source="demo", run=run)
        augment(store, "fr", run=run, copies=1)
    return store


def everywhere(store: Store) -> bytes:
    return b"".join(item.key.encode() + store.get(item.key) for item in store.list(""))


def test_a_speaker_is_forgotten_everywhere(corpus: Store, spoken: bytes) -> None:
    theirs, other = clip_of(corpus, "theirs"), clip_of(corpus, "other")
    before = read_index(corpus, seeded_id("default", 0), "fr")
    report = forget(corpus, "speaker", WITH_US)
    assert report.clips == 2
    whole = everywhere(corpus)
    assert spoken not in whole
    assert b"no audio" not in whole
    assert whole.count(WITH_US.encode()) == 2  # the wish: its key, its name
    assert catalog.read(corpus, "fr", ["clip_id"])["clip_id"].to_pylist() == [other]
    augment(corpus, "fr", run="three", copies=1)
    after = read_index(corpus, seeded_id("default", 0), "fr")
    assert theirs not in after["clip_id"].to_pylist()
    assert after.num_rows == sum(clip_id == other for clip_id in before["clip_id"].to_pylist())
    assert diagnose(corpus, deep=True).findings == []


def test_what_is_forgotten_stays_so_when_it_comes_again(corpus: Store, spoken: bytes) -> None:
    clip_id = clip_of(corpus, "theirs")
    forget(corpus, "clip", clip_id)
    stage(corpus, "again", {"theirs": spoken, "moved": spoken}, speaker_id=None)
    report = upload(corpus, "fr", source="demo", run="again")
    assert report.published == 0
    assert report.quarantined == {Reason.FORGOTTEN: 2}
    assert spoken not in corpus.get(keys.quarantine("fr", clip_id, "json"))
    assert not [item for item in corpus.list("raw/") if clip_id in item.key]
    assert reasons(corpus)[clip_id] == Reason.FORGOTTEN


def test_forgetting_again_is_no_error_and_nothing_known_is_one(corpus: Store) -> None:
    forget(corpus, "speaker", WITH_US)
    assert forget(corpus, "speaker", WITH_US).clips == 0
    with pytest.raises(LangaudioError, match="has nothing of the speaker"):
        forget(corpus, "speaker", ELSE)


def test_models_that_learned_from_it_are_marked(corpus: Store) -> None:
    theirs, other = clip_of(corpus, "theirs"), clip_of(corpus, "other")
    learned, innocent = (registry.start_run(name, {}) for name in ("learned", "innocent"))
    registry.log_file(learned, registry.CLIPS, json.dumps([theirs, other]).encode())
    registry.log_file(innocent, registry.CLIPS, json.dumps([other]).encode())
    assert forget(corpus, "speaker", WITH_US).runs == [learned]
    tags = registry._client().get_run(learned).data.tags
    assert tags[MARK] == "1"
