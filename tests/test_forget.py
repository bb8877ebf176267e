"""What is forgotten is nowhere, and stays away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from langaudio import catalog, registry
from langaudio.augment.shards import read_index
from langaudio.augment.stage import augment, seeded_id
from langaudio.crawl.clips import Sighting
from langaudio.crawl.stage import crawl
from langaudio.crawl.staging import Staging
from langaudio.doctor import diagnose
from langaudio.errors import LangaudioError, Unavailable
from langaudio.examine import Reason
from langaudio.forget import forget
from langaudio.settings import Settings
from langaudio.store import Store, keys
from langaudio.train import splits
from langaudio.train.data import training_speech
from langaudio.upload import upload
from langaudio.wishes import wishes
from tests.test_upload import LATER, reasons, stage
from tests.train.spoken import prepare_mlflow

WITH_US, ELSE = "ab" * 10, "cd" * 10


def clip_of(store: Store, title: str) -> str:
    rows = catalog.read(store, "fr", ["clip_id", "title"]).to_pylist()
    return next(str(row["clip_id"]) for row in rows if row["title"] == title)


@pytest.fixture
def corpus(store: Store, configured: Settings, spoken: bytes, also_spoken: bytes) -> Store:
    """Two speakers with a clip each in the shards, one of them with a refused clip, too."""
    prepare_mlflow(configured)
    stage(store, "one", {"theirs": spoken, "refused": b"no audio"}, speaker_id=WITH_US)
    stage(store, "two", {"other": also_spoken}, speaker_id=None)
    for run in ("one", "two"):
        upload(store, "fr", source="demo", run=run)
        augment(store, "fr", run=run, copies=1)
    return store


def everywhere(store: Store) -> bytes:
    return b"".join(item.key.encode() + store.get(item.key) for item in store.list(""))


def test_one_clip_is_forgotten_everywhere_and_no_other(
    corpus: Store, spoken: bytes, also_spoken: bytes
) -> None:
    theirs, other = clip_of(corpus, "theirs"), clip_of(corpus, "other")
    # The same bytes at another address, in a crawl that was cut off, and what a full walk says of them.
    corpus.put("staging/demo/killed/fr/audio/0123", spoken)
    sightings = [Sighting(theirs, LATER, changes={"title": "Their name"}), Sighting(other, LATER)]
    stage(corpus, "walk", {"moved": spoken, "kept": also_spoken}, sightings=sightings, speaker_id=None)
    forget(corpus, "clip", theirs)
    whole = everywhere(corpus)
    assert spoken not in whole
    assert b"Their name" not in whole
    assert also_spoken in whole
    walk = Staging(corpus, "demo", "walk", "fr")
    assert [item.title for item in walk.clips()] == ["kept"]
    assert [sighting.clip_id for sighting in walk.sightings()] == [other]


def test_what_a_killed_upload_and_a_killed_augmentation_left_is_forgotten(
    corpus: Store, spoken: bytes
) -> None:
    theirs = clip_of(corpus, "theirs")
    # Killed before the row, and before the index.
    (index,) = (item.key for item in corpus.list("augmented/") if "/one-" in item.key and "index" in item.key)
    corpus.delete(index)
    corpus.delete(keys.catalog("fr", "one"))
    assert forget(corpus, "speaker", WITH_US).clips == 2
    assert spoken not in everywhere(corpus)
    assert not [item for item in corpus.list("augmented/") if "/one-" in item.key]
    assert theirs in wishes(corpus).clips


def test_an_attempt_that_was_cut_off_is_finished_by_the_next(
    corpus: Store, spoken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletes = 0
    delete = corpus.delete
    while True:
        left, deletes = deletes, deletes + 1

        def cut_off(key: str) -> None:
            nonlocal left
            if left == 0:
                raise Unavailable("killed")
            left -= 1
            delete(key)

        monkeypatch.setattr(corpus, "delete", cut_off)
        try:
            forget(corpus, "speaker", WITH_US)
        except Unavailable:
            continue
        break
    assert deletes > 2
    monkeypatch.undo()
    whole = everywhere(corpus)
    assert spoken not in whole
    assert b"no audio" not in whole
    assert whole.count(WITH_US.encode()) == 2  # the wish: its key, its name


def test_the_same_bytes_stay_away_whoever_brings_them(corpus: Store, spoken: bytes, tmp_path: Path) -> None:
    forget(corpus, "speaker", WITH_US)
    stage(corpus, "elsewhere", {"theirs": spoken}, "en", speaker_id=None)
    assert upload(corpus, "en", source="demo", run="elsewhere").published == 0
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "a.mp3").write_bytes(spoken)
    crawl(corpus, "fr", source="corpus", run="mine", location=str(tmp_path))
    report = upload(corpus, "fr", source="corpus", run="mine")
    assert (report.published, report.quarantined) == (0, {Reason.FORGOTTEN: 1})
    assert not [item.key for item in corpus.list("raw/") if spoken in corpus.get(item.key)]


def test_a_source_is_forgotten_with_all_that_it_staged(corpus: Store) -> None:
    corpus.put("staging/demo/killed/fr/audio/0123", b"of a crawl that was cut off")
    corpus.put("staging/demo/killed/fr/pages/0123.html", b"<html>their names</html>")
    forget(corpus, "source", "demo")
    assert not [item.key for item in corpus.list("staging/")]
    assert not [item.key for item in corpus.list("raw/")]
    assert not [item.key for item in corpus.list("augmented/")]
    assert catalog.read(corpus, "fr", with_refused=True).num_rows == 0
    assert set(reasons(corpus).values()) == {Reason.FORGOTTEN}


def test_a_machine_that_trains_drops_what_it_has_cached(corpus: Store) -> None:
    recipe_id, clips = seeded_id("default", 0), splits.read(corpus, ["fr"])
    cached = {one.path.parent for one in training_speech(corpus, clips, recipe_id)}
    forget(corpus, "speaker", WITH_US)
    here = {folder for folder in cached if folder.exists()}
    assert len(here) == len(cached) - 1
    # Another machine, whose cache has everything.
    gone = (cached - here).pop()
    gone.mkdir()
    training_speech(corpus, splits.read(corpus, ["fr"]), recipe_id)
    assert not gone.exists()


def test_a_speaker_is_forgotten_everywhere(corpus: Store, spoken: bytes) -> None:
    theirs, other = clip_of(corpus, "theirs"), clip_of(corpus, "other")
    before = read_index(corpus, seeded_id("default", 0), "fr")
    report = forget(corpus, "speaker", WITH_US)
    assert report.clips == 2
    whole = everywhere(corpus)
    assert spoken not in whole
    assert b"no audio" not in whole
    assert whole.count(WITH_US.encode()) == 2  # the wish: its key, its name
    assert set(wishes(corpus).clips) > {theirs}
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
    assert tags[registry.FORGOTTEN] == "1"
