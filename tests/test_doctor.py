"""The doctor finds every kind of damage, mends what can be mended, and is content with a sound bucket."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import timedelta

import pytest

from langaudio import catalog, doctor
from langaudio.augment.stage import augment
from langaudio.doctor import Kind, diagnose, repair, require_health
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.forget import forget
from langaudio.settings import Settings
from langaudio.store import Store, keys
from langaudio.train.checkpoints import BEST, LAST
from langaudio.upload import upload
from tests.test_catalog import row
from tests.test_upload import stage
from tests.train.spoken import prepare_mlflow


@pytest.fixture
def sound(store: Store, configured: Settings, spoken: bytes, also_spoken: bytes) -> Store:
    """A bucket with two published clips, one in quarantine, and a shard."""
    prepare_mlflow(configured)
    stage(store, "one", {"first": spoken, "second": also_spoken, "text": b"no audio"}, speaker_id=None)
    upload(store, "fr", source="demo", run="one")
    augment(store, "fr", run="one", copies=1)
    return store


@pytest.fixture
def everything_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_STALE", timedelta(days=-1))


def found(store: Store, *, deep: bool = False) -> dict[str, int]:
    return {kind: count for kind, count in diagnose(store, deep=deep).counts.items() if count}


def clip(store: Store) -> str:
    return str(next(item.key for item in store.list("raw/fr/")))


def flip(store: Store, key: str) -> None:
    data = bytearray(store.get(key))
    data[len(data) // 2] ^= 1
    store.put(key, bytes(data))


@pytest.mark.usefixtures("everything_is_old")
def test_nothing_is_wrong_with_a_sound_bucket(sound: Store) -> None:
    diagnosis = diagnose(sound, deep=True)
    assert diagnosis.findings == []
    assert diagnosis.looked_at == {"clips": 2, "objects": 2, "hashed": 2, "shards": 1, "crawls": 1}
    assert repair(diagnosis) == {}
    assert require_health(sound)["row_without_object"] == 0


def test_an_empty_bucket_is_sound(store: Store) -> None:
    assert diagnose(store, deep=True).findings == []


def test_a_lost_file_is_restored_from_staging(sound: Store) -> None:
    key = clip(sound)
    data = sound.get(key)
    sound.delete(key)
    with pytest.raises(LangaudioError, match=r"1 row_without_object; raw/fr/.*langaudio doctor"):
        require_health(sound)
    assert repair(diagnose(sound)) == {Kind.NO_OBJECT: 1}
    assert sound.get(key) == data
    assert found(sound, deep=True) == {}


def test_a_lost_file_without_a_copy_leaves_the_corpus_and_comes_back_with_the_next_crawl(
    sound: Store, spoken: bytes
) -> None:
    for item in [*sound.list("raw/fr/"), *sound.list("staging/")]:
        sound.delete(item.key)
    assert repair(diagnose(sound)) == {Kind.NO_OBJECT: 2}
    assert found(sound, deep=True) == {}
    assert catalog.read(sound, "fr").num_rows == 0
    assert [one["reason"] for one in catalog.refusals(sound, "fr")].count(Reason.LOST) == 2
    stage(sound, "two", {"first": spoken}, speaker_id=None)
    upload(sound, "fr", source="demo", run="two")
    assert catalog.read(sound, "fr").num_rows == 1
    assert found(sound, deep=True) == {}


def test_a_damaged_file_is_restored(sound: Store) -> None:
    key = clip(sound)
    data = sound.get(key)
    flip(sound, key)
    assert found(sound) == {Kind.WRONG_HASH: 1}
    repair(diagnose(sound))
    assert sound.get(key) == data


def test_a_file_that_may_still_get_its_row_is_left_alone(sound: Store) -> None:
    sound.put("raw/fr/00000000000000000000.mp3", b"an upload is under way")
    assert found(sound) == {}


@pytest.mark.usefixtures("everything_is_old")
def test_a_repair_between_a_killed_upload_and_its_next_attempt_loses_no_clip(
    store: Store, spoken: bytes
) -> None:
    stage(store, "one", {"first": spoken}, speaker_id=None)
    upload(store, "fr", source="demo", run="one")
    whole = {item.key: store.get(item.key) for item in store.list("")}
    # As if it had been killed between the file and the row.
    store.delete(keys.catalog("fr", "one"))
    store.delete("staging/demo/one/fr/_UPLOADED")
    assert repair(diagnose(store)) == {Kind.NO_ROW: 1}
    upload(store, "fr", source="demo", run="one")
    assert {item.key: store.get(item.key) for item in store.list("")} == whole


@pytest.mark.usefixtures("everything_is_old")
def test_what_is_not_ours_is_told_and_left_to_a_person(sound: Store) -> None:
    strange = (
        "raw/fr/.hidden",
        "raw/fr/notes",
        "raw/fr/sub/a.b.c",
        "raw/zz-top/a.mp3",
        "augmented/README.md",
    )
    for key in strange:
        sound.put(key, b"somebody's")
    diagnosis = diagnose(sound, deep=True)
    assert diagnosis.counts == dict.fromkeys(Kind, 0) | {Kind.NO_ROW: 4}
    assert repair(diagnosis) == {}
    assert [sound.get(key) for key in strange] == [b"somebody's"] * 5


def test_what_somebody_wished_to_be_forgotten_and_is_back_is_a_fault(sound: Store) -> None:
    row = catalog.read(sound, "fr").to_pylist()[0]
    clip_id, files = row["clip_id"], {item.key: sound.get(item.key) for item in sound.list("")}
    forget(sound, "clip", clip_id)
    assert found(sound, deep=True) == {}
    # As if an upload and an augmentation had been under way.
    for key in (keys.raw("fr", clip_id, "mp3"), keys.catalog("fr", "one")):
        sound.put(key, files[key])
    assert found(sound) == {Kind.FORGOTTEN: 2}
    for key in (key for key in files if key.startswith("augmented/")):
        sound.put(key, files[key])
    assert found(sound) == {Kind.FORGOTTEN: 3}
    with pytest.raises(LangaudioError, match=r"3 forgotten_and_there; .* run `langaudio forget` again"):
        require_health(sound)
    forget(sound, "clip", clip_id)
    assert found(sound, deep=True) == {}


def test_a_sample_is_another_each_time(sound: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SAMPLE", 1)
    flip(sound, clip(sound))
    # Not to be found in sixty samples of one of two clips is as likely as 60 times heads.
    assert any(found(sound) for _ in range(60))


@pytest.mark.usefixtures("everything_is_old")
def test_a_file_without_a_row_goes_to_quarantine_and_stays_where_it_is(sound: Store) -> None:
    sound.put("raw/fr/00000000000000000000.mp3", b"who knows")
    assert found(sound) == {Kind.NO_ROW: 1}
    require_health(sound)  # no fault
    repair(diagnose(sound))
    assert found(sound) == {}
    assert sound.get("quarantine/fr/00000000000000000000.mp3") == b"who knows"
    reason = json.loads(sound.get("quarantine/fr/00000000000000000000.json"))
    assert reason["reason"] == Reason.NO_ROW


def test_a_speaker_or_a_clip_on_two_sides_is_a_fault(store: Store) -> None:
    clips = [
        row(f"{n:020x}", speaker_id="ab", split=split, bytes=1) for n, split in enumerate(("train", "test"))
    ]
    catalog.write_part(store, "fr", "one", clips)
    catalog.write_part(store, "en", "one", clips[:1])
    kinds = [finding.key for finding in diagnose(store).findings if finding.kind == Kind.TWO_SIDES]
    assert kinds == ["speaker ab", f"clip {0:020x}"]


def test_a_table_that_is_none_is_named(sound: Store) -> None:
    sound.put(keys.catalog("de", "odd"), b"no parquet")
    assert found(sound) == {Kind.UNREADABLE: 1}


@pytest.mark.parametrize("damage", ["missing", "no tar", "short", "a bit", "no index"])
def test_shards_that_do_not_match_their_index_are_made_anew(sound: Store, damage: str) -> None:
    (shard,) = (item.key for item in sound.list("augmented/") if item.key.endswith(".tar"))
    index = shard.rpartition("/")[0] + "/index.parquet"
    whole = sound.get(shard)
    if damage == "missing":
        sound.delete(shard)
    elif damage == "no tar":
        sound.put(shard, b"x" * 1024)
    elif damage == "short":
        sound.put(shard, _first_member(whole))
    elif damage == "a bit":
        flip(sound, shard)
    else:
        sound.put(index, b"no parquet")
    diagnosis = diagnose(sound, deep=True)
    assert diagnosis.faults == 1
    assert repair(diagnosis)
    augment(sound, "fr", run="one", copies=1)
    assert found(sound, deep=True) == {}
    assert sound.get(shard) == whole


@pytest.mark.usefixtures("everything_is_old")
def test_leftovers_of_a_killed_run_are_found_and_thrown_away(sound: Store) -> None:
    sound.put("augmented/r/fr/killed/shard-000000.tar", b"half of it")
    sound.put("staging/demo/killed/fr/audio/ab", b"audio")
    sound._client.create_multipart_upload(Bucket=sound.bucket, Key="augmented/large.tar")
    expected = {Kind.ORPHAN_SHARD: 1, Kind.STALE_STAGING: 1, Kind.UNFINISHED_UPLOAD: 1}
    assert found(sound) == expected
    assert require_health(sound)["stale_staging"] == 1
    assert repair(diagnose(sound)) == {Kind.ORPHAN_SHARD: 1, Kind.UNFINISHED_UPLOAD: 1}
    assert found(sound) == {Kind.STALE_STAGING: 1}


def test_a_training_that_was_cut_off_is_told_and_thrown_away_once_it_is_given_up(
    sound: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {keys.checkpoint("training", "run", name) for name in (LAST, BEST)}
    for name in names:
        sound.put(name, b"tensors")
    assert found(sound) == {}
    monkeypatch.setattr(doctor, "_STALE", timedelta(days=-1))
    assert found(sound) == {Kind.STALE_CHECKPOINT: 1}
    diagnosis = diagnose(sound)
    assert diagnosis.faults == 0
    assert "clear its task" in diagnosis.findings[0].detail
    assert repair(diagnosis) == {}
    monkeypatch.setattr(doctor, "_GIVEN_UP", timedelta(days=-1))
    assert names <= {item.key for item in sound.list("models/")}
    assert repair(diagnose(sound)) == {Kind.STALE_CHECKPOINT: 1}
    assert list(sound.list("models/")) == []
    assert found(sound) == {}


def test_what_may_still_be_written_is_no_leftover(sound: Store) -> None:
    sound.put("augmented/r/fr/running/shard-000000.tar", b"half of it")
    sound.put("staging/demo/running/fr/audio/ab", b"audio")
    assert found(sound) == {}


def _first_member(whole: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(whole)) as source, tarfile.open(fileobj=buffer, mode="w") as target:
        member = next(iter(source))
        target.addfile(member, source.extractfile(member))
    return buffer.getvalue()
